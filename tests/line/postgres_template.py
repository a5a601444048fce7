"""PostgreSQL's initial data folder, made once and copied: initdb takes a second, a copy a tenth."""

import fcntl
import glob
import os
import shutil
import subprocess

from . import process
from .paths import BUILD, POSTGRES_USER, postgres_data

DATABASE = "meterline"


def tool(name):
    """The newest PostgreSQL's program of this name."""
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"),
                   key=lambda path: float(path.split("/")[4]))
    path = found[-1] if found else shutil.which(name)
    if not path:
        raise RuntimeError(f"PostgreSQL's {name} is not installed")
    return path


def empty_template():
    """An initialised data folder with an empty database, to be copied."""
    version = process.run([tool("postgres"), "--version"]).stdout.split()[2]
    home = postgres_data(BUILD)
    template = home / f"postgres-template-{version}"
    with open(home / "postgres-template.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not template.exists():
            make_template(template)
    return template


def copy_data(origin, target):
    subprocess.run(["cp", "-a", "--reflink=auto", str(origin), str(target)], check=True)


def make_template(template):
    draft = template.with_suffix(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if POSTGRES_USER:
        shutil.chown(draft, POSTGRES_USER, POSTGRES_USER)
    must([tool("initdb"), "-D", draft, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8",
          "--locale=C"])
    must([tool("postgres"), "--single", "-F", "-D", draft, "-c",
          "dynamic_shared_memory_type=mmap", "postgres"], input=f"CREATE DATABASE {DATABASE}\n")
    os.rename(draft, template)


def must(command, **options):
    done = process.run(command, user=POSTGRES_USER, cwd="/", **options)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
