"""npm's packages for tests, installed once under build/node, several versions side by side."""

import fcntl
import json
import shutil
import subprocess

from .paths import BUILD

FOLDER = BUILD / "node"
# Folder in node_modules -> package and version. All at once: npm drops what one command leaves out.
PACKAGES = {"stripe": "stripe@23.1.0", "stripe16": "stripe@16.12.0"}
INSTALL_TIMEOUT_S = 180


class Missing(Exception):
    """Why the packages cannot be installed here."""


def folder():
    """The folder whose node_modules holds them all."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise Missing(f"{program} is not installed")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open(FOLDER / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all(map(is_installed, PACKAGES)):
            install()
    return FOLDER


def is_installed(name):
    try:
        text = (FOLDER / "node_modules" / name / "package.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    found = json.loads(text)
    return f"{found['name']}@{found['version']}" == PACKAGES[name]


def install():
    command = ["npm", "install", "--no-save", "--no-audit", "--no-fund", "--prefix", FOLDER,
               *(f"{name}@npm:{package}" for name, package in PACKAGES.items())]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S,
                              check=False)
    except subprocess.TimeoutExpired:
        raise Missing("npm install did not end in time") from None
    if done.returncode != 0:
        raise Missing("npm install failed: " + done.stderr.strip()[-300:])
