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


def folder(where=FOLDER, packages=None):
    """The folder whose node_modules holds them all."""
    packages = packages or PACKAGES
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise Missing(f"{program} is not installed")
    where.mkdir(parents=True, exist_ok=True)
    with open(where / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all(is_installed(where, name, package) for name, package in packages.items()):
            install(where, packages)
    return where


def is_installed(where, name, package):
    try:
        text = (where / "node_modules" / name / "package.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    found = json.loads(text)
    return f"{found['name']}@{found['version']}" == package


def install(where, packages):
    command = ["npm", "install", "--no-save", "--no-audit", "--no-fund", "--prefix", where,
               *(f"{name}@npm:{package}" for name, package in packages.items())]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S,
                              check=False)
    except subprocess.TimeoutExpired:
        raise Missing("npm install did not end in time") from None
    if done.returncode != 0:
        raise Missing("npm install failed: " + done.stderr.strip()[-300:])
