"""What the kernel says of the containers while they run: memory at its peak, limits that were hit."""

import pathlib
import threading

from engine import Failed, inspect, name, run

CGROUPS = pathlib.Path("/sys/fs/cgroup")
# Of cgroup v2 and v1: the limit, the most that was used, and how often more was asked for than the limit allows.
FILES = {True: ("memory.max", "memory.peak", "memory.events"),
         False: ("memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.failcnt")}
LIMITS_MB = {"aggregator": 256, "sink": 64, "webhookd": 64, "notifier": 64, "api": 128, "emitter": 128, "nginx": 64}
INTERVAL_S = 0.5


class Watch:
    """From start to stop(): a container that is killed takes its figures along, so they are read all the time."""

    def __init__(self):
        self.peaks = dict.fromkeys(LIMITS_MB, 0)
        self.hits = dict.fromkeys(LIMITS_MB, 0)
        self.read = dict.fromkeys(LIMITS_MB, 0)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.look_again, daemon=True)
        self.thread.start()

    def look_again(self):
        while not self.ended.wait(INTERVAL_S):
            for service in LIMITS_MB:
                self.look(service)

    def look(self, service):
        try:
            folder = cgroup_of(int(run("podman", "inspect", "--format", "{{.State.Pid}}", name(service), check=False) or 0))
            limit, peak, events = ((folder / file).read_text(encoding="ascii") for file in FILES[is_unified()])
        except (OSError, ValueError, StopIteration):
            return  # It was just killed.
        if limit.strip() != str(LIMITS_MB[service] * 2**20):
            return  # It is about to start, and not yet in a group of its own.
        self.read[service] += 1
        self.peaks[service] = max(self.peaks[service], int(peak))
        words = events.split()
        counts = dict(zip(words[::2], map(int, words[1::2]))) if is_unified() else {"max": int(words[0])}
        self.hits[service] = max(self.hits[service], counts["max"] + counts.get("oom", 0))

    def stop(self):
        self.ended.set()
        self.thread.join()
        for service, limit_mb in LIMITS_MB.items():
            if not self.read[service] or self.hits[service] or self.peaks[service] >= limit_mb * 2**20:
                raise Failed(f"{service}: read {self.read[service]} times, limit hit {self.hits[service]} times, "
                             f"peak {self.peaks[service]} bytes")
        print("memory at its peak: " + ", ".join(f"{service} {peak / 2**20:.1f} of {LIMITS_MB[service]} MiB"
                                                 for service, peak in self.peaks.items()), flush=True)


def is_unified():
    return (CGROUPS / "cgroup.controllers").exists()


def cgroup_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii").splitlines()
    marker, folder = ("0::", CGROUPS) if is_unified() else (":memory:", CGROUPS / "memory")
    return folder / next(line.partition(marker)[2] for line in lines if marker in line).lstrip("/")


def check_hardening(services):
    """By what the engine was told, and by what the kernel does."""
    for service in services:
        assert inspect(service, ".HostConfig.ReadonlyRootfs") == "true", service
        assert inspect(service, ".State.OOMKilled") == "false", service
        pid = inspect(service, ".State.Pid")
        if pid != "0":
            words = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").split()
            assert words[words.index("NoNewPrivs:") + 1] == "1", service
            assert int(words[words.index("CapEff:") + 1], 16) == int(words[words.index("CapBnd:") + 1], 16) == 0, service
            assert words[words.index("Uid:") + 1] != "0", service
    for service, limit_mb in LIMITS_MB.items():
        assert inspect(service, ".HostConfig.Memory") == str(limit_mb * 2**20), service
