"""libmeterline as `make install-library` leaves it, and programs that are built against that."""

import fcntl
import os
import subprocess
import tempfile

from line.paths import ROOT


def install(prefix):
    """One at a time: several tests build in one folder."""
    with open(f"{tempfile.gettempdir()}/meterline-library.{os.getuid()}", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        make(prefix)


def make(prefix):
    subprocess.run(["make", "-s", "-C", ROOT, "install-library", f"PREFIX={prefix}", "CFLAGS=-O1", "JOBS=2"], check=True,
                   env={**os.environ, "MAKEFLAGS": ""}, capture_output=True)


def compile_against(prefix, source, program):
    subprocess.run(f"cc -Wall -Wextra -Werror {source} $(pkg-config --cflags --libs meterline) -o {program}", shell=True, check=True,
                   env={**os.environ, "PKG_CONFIG_PATH": f"{prefix}/lib/pkgconfig"})


def environment(prefix):
    return {"LD_LIBRARY_PATH": f"{prefix}/lib"}
