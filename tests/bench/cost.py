"""What a reader of the stream costs: its own CPU and memory, and the CPU of both servers."""

import dataclasses
import os
import pathlib
import time

from line import process

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
LOOK_EVERY_S = 0.02
FIRST_LOOK_S = 0.0005  # Soon, then less often: small runs last a few milliseconds.


@dataclasses.dataclass
class Cost:
    cpu_s: float
    peak_mib: float
    postgres_cpu_s: float
    redis_cpu_s: float


def follow(line, child):
    """Waits for the end of a child (Popen) that was just started: its Cost, with returncode set."""
    redis_before, postgres_before = redis_cpu_s(line), postgres_cpu_s(line)
    peak_kib, ended, pause_s = 0, 0, FIRST_LOOK_S
    while not ended:
        peak_kib = max(peak_kib, high_water_kib(child.pid))
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, LOOK_EVERY_S)
        ended, status, usage = os.wait4(child.pid, os.WNOHANG)
    child.returncode = os.waitstatus_to_exitcode(status)
    return Cost(usage.ru_utime + usage.ru_stime, peak_kib / 1024,
                postgres_cpu_s(line) - postgres_before, redis_cpu_s(line) - redis_before)


def high_water_kib(pid):
    """Not ru_maxrss: that begins with the memory of the process that forked it."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    for row in status.splitlines():
        if row.startswith("VmHWM:"):
            return int(row.split()[1])
    return 0


def redis_cpu_s(line):
    info = line.client().info("cpu")
    return info["used_cpu_user"] + info["used_cpu_sys"]


def postgres_cpu_s(line):
    """Of the server, its backends, and those of them that have ended."""
    server = line.postgres.pid
    ticks = sum(cpu_ticks(server)) + sum(sum(cpu_ticks(pid)[:2])
                                         for pid in process.children_of(server))
    return ticks / TICKS_PER_S


def cpu_ticks(pid):
    """User and system time, its own and that of children that were waited for; proc(5), stat."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0, 0, 0, 0
    return tuple(map(int, stat.rpartition(")")[2].split()[11:15]))
