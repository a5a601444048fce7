"""A Debian root file system of this test's own: programs run in it by chroot, or under a systemd that was started in it."""

import os
import pathlib
import shutil
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MIRROR = "http://deb.debian.org/debian"
BOOT_S = 120


class Failed(Exception):
    pass


def run(*command, check=True, **options):
    """stdout and stderr in one, as a CompletedProcess."""
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, **options)
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout[-4000:]}")
    return done


class Box:
    """folder: is deleted and made anew from the base system of that suite, which is kept beside it."""

    def __init__(self, folder, suite):
        self.root, self.suite, self.machine, self.pid = folder, suite, None, None
        base = folder.parent / f"{suite}.tar"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if not base.exists():
            half = base.with_suffix(".half.tar")
            run("mmdebstrap", "--quiet", "--variant=minbase", suite, half, f"deb {MIRROR} {suite} main")
            half.rename(base)
        run("tar", "-C", folder, "-xf", base)
        for name in ("resolv.conf", "hosts"):
            shutil.copy(f"/etc/{name}", folder / "etc" / name)
        (folder / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n", encoding="ascii")  # Until systemd runs.
        (folder / "usr/sbin/policy-rc.d").chmod(0o755)
        self.sh("apt-get update -q")

    def sh(self, script, check=True, cwd="/", **env):
        """Runs it in there, under systemd if that is up."""
        enter = ["nsenter", "-t", self.pid, "-a", "--"] if self.pid else ["chroot", self.root]
        settings = {"PATH": PATH, "HOME": "/root", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", **env}
        return run(*enter, "env", "-i", *(f"{name}={value}" for name, value in settings.items()),
                   "bash", "-euc", f"cd {cwd}\n{script}", check=check)

    def install(self, *packages):
        self.sh(f"apt-get install -q -y --no-install-recommends {' '.join(packages)}")

    def boot(self):
        (self.root / "usr/sbin/policy-rc.d").unlink()
        self.log = open(f"{self.root}.boot.log", "w", encoding="utf-8")
        self.machine = subprocess.Popen([HERE / "boot", self.root], stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=subprocess.STDOUT)
        wait(lambda: self._find_init() and self.sh("systemctl is-system-running", check=False).stdout.strip()
             in ("running", "degraded"), BOOT_S, "systemd is up")

    def _find_init(self):
        assert self.machine.poll() is None, pathlib.Path(self.log.name).read_text(encoding="utf-8")
        children = pathlib.Path(f"/proc/{self.machine.pid}/task/{self.machine.pid}/children").read_text(encoding="ascii").split()
        self.pid = children[0] if children and pathlib.Path(f"/proc/{children[0]}/comm").read_text(
            encoding="ascii").strip() == "systemd" else None
        return self.pid

    def close(self):
        if not self.machine:
            return
        self.machine.kill()
        self.machine.wait()
        self.log.close()
        group = f"meterline-test-{self.machine.pid}"
        self.machine = self.pid = None
        mounts = [line.split()[1:3] for line in pathlib.Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
        where = next(pathlib.Path(path) for path, kind in mounts if kind == "cgroup2") / group
        wait(lambda: remove_group(where), 30, f"{where} is empty")


def remove_group(where):
    """Its processes are being killed; a cgroup can be removed when it has none."""
    for folder, _, _ in os.walk(where, topdown=False):
        try:
            os.rmdir(folder)
        except OSError:
            return False
    return True


def wait(condition, timeout, what):
    deadline = time.monotonic() + timeout
    while not (seen := condition()):
        if time.monotonic() > deadline:
            raise Failed(f"not within {timeout} s: {what}")
        time.sleep(0.1)
    return seen
