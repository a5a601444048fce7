"""Where things lie: the repository, its build folder, the programs under test, server data."""

import functools
import hashlib
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
CATALOG = ROOT / "deploy" / "catalog.json"

# PostgreSQL refuses to run as root, so root runs it as the user that Debian's package makes.
POSTGRES_USER = "postgres" if os.geteuid() == 0 else None


def programs():
    """The folder of the programs under test; METERLINE_BIN chooses another build of them."""
    return ROOT / os.environ.get("METERLINE_BIN", "build/bin")


def postgres_data(folder):
    """The folder for PostgreSQL data that belongs to folder: itself wherever its user can get
    there, else one of the same name under /var/tmp."""
    folder = pathlib.Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if can_enter(folder):
        return folder
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    aside = pathlib.Path("/var/tmp") / f"meterline-{os.geteuid()}-{folder.name[:40]}-{name}"
    aside.mkdir(exist_ok=True)
    if aside.stat().st_uid != os.geteuid():
        raise RuntimeError(f"{aside} belongs to someone else; remove it")
    aside.chmod(0o711)  # The umask may have closed it.
    return aside


@functools.lru_cache(maxsize=None)
def can_enter(folder):
    if not POSTGRES_USER:
        return True
    return subprocess.run(["test", "-x", str(folder)], user=POSTGRES_USER, group=POSTGRES_USER,
                          extra_groups=[], cwd="/").returncode == 0
