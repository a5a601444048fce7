"""The emitter: libmeterline beside redis-benchmark, which runs the same XADD in pipelines, and how long emit itself
takes; and the daemon (doors.py)."""

import subprocess

from . import doors, settings
from .ground import open_line, tell_load

# The command that tests/bench/emit.c comes to.
XADD = ("xadd", "usage:events", "*", "tenant", "tenant-0", "metric", "api_calls", "quantity", "1", "id", "run-0-123456",
        "ts", "1795000000000")


def run():
    print(f"\nemit: {settings.EMIT_EVENTS:,} events by one thread; by 4 at {settings.EMIT_PER_S:,}/s in all", flush=True)
    with open_line("emit") as line:
        tell_load("emitting")
        ceilings, rates = [], []
        # In turn, since the machine is not always the same.
        for _ in range(settings.EMIT_ROUNDS):
            ceilings.append(ceiling_of(line))
            rates.append(emit(line, 1, settings.EMIT_EVENTS, 0)["events_per_s"])
        paced = emit(line, 4, settings.EMIT_EVENTS // 4, settings.EMIT_PER_S // 4)
        return {"events": settings.EMIT_EVENTS, "redis_benchmark_per_s": max(ceilings), "per_s": max(rates),
                "ratio": max(rates) / max(ceilings), "median_ns": paced["median_ns"], "p999_ns": paced["p999_ns"],
                "door": doors.run(line), "faults": []}


def ceiling_of(line):
    text = subprocess.run(["redis-benchmark", "-p", str(line.redis.port), "-n", str(settings.EMIT_EVENTS), "-c", "1", "-P", "1000",
                           "--csv", *XADD], check=True, capture_output=True, text=True).stdout
    line.client().delete("usage:events")
    return float(text.splitlines()[-1].split(",")[1].strip('"'))


def emit(line, threads, each, per_s):
    """What tests/bench/emit.c says: numbers by their names. It fails if anything was refused or is not in Redis."""
    text = subprocess.run([settings.TOOLS / "emit", line.redis.url, line.folder / "spool", str(threads), str(each), str(per_s),
                           line.folder / "progress"], check=True, capture_output=True, text=True).stdout
    found = {name: int(value) for name, value in (pair.split("=") for pair in text.split())}
    added = line.client().xinfo_stream("usage:events")["entries-added"]
    assert found["sent"] == threads * each == added, (found, added)
    line.client().delete("usage:events")
    return found


def tell(result):
    print(f"\n  libmeterline, one thread: {result['per_s']:,.0f} events/s; redis-benchmark, the same XADD: "
          f"{result['redis_benchmark_per_s']:,.0f}/s; ratio {result['ratio']:.2f}")
    print(f"  emit with 4 threads: median {result['median_ns']:,} ns, 99.9th percentile {result['p999_ns']:,} ns")
    doors.tell(result["door"])
