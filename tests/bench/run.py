#!/usr/bin/python3
"""make bench: how fast the aggregator drains a stream, beside the least that reading it costs.

Both read the same stream on private, durable servers: first a bare XREAD loop that throws the
entries away, then `meterline-aggregator --once`, from its first read to its last commit. No speed
passes or fails; exit code 1: the ledger does not hold what was emitted. Settings: EVENTS (1000000),
TENANTS (100), MINUTES (10) over which the events were used, SCENARIOS (unique,repeats).
"""

import dataclasses
import decimal
import json
import os
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from line import Line, Postgres, Redis, process  # noqa: E402
from line.claim import claim_folder  # noqa: E402
from line.line import STREAM  # noqa: E402
from line.paths import BUILD, ROOT  # noqa: E402

EVENTS = int(os.environ.get("EVENTS", "1000000"))
TENANTS = int(os.environ.get("TENANTS", "100"))
MINUTES = int(os.environ.get("MINUTES", "10"))
REPEATS_PERCENT = {"unique": 0, "repeats": 5}
SCENARIOS = os.environ.get("SCENARIOS", "unique,repeats").split(",")
TOOLS = BUILD / "bench"
FLOOR_READS = 3
# As PostgreSQL comes; the tests' servers have less and do not flush.
POSTGRES = {"fsync": "on", "synchronous_commit": "on", "shared_buffers": "128MB",
            "max_wal_size": "1GB"}
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass
class Speed:
    """One reader of the stream: its own CPU time, and what it made the servers do."""

    events: int
    seconds: float
    cpu_s: float
    peak_mib: float = 0.0
    postgres_cpu_s: float = 0.0
    redis_cpu_s: float = 0.0

    @property
    def events_per_s(self):
        return self.events / self.seconds


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(f"{EVENTS:,} events of {TENANTS:,} tenants, used within {MINUTES} minutes; "
          f"{os.cpu_count()} cores, load before: {os.getloadavg()[0]:.1f}", flush=True)
    results = [measure(name) for name in SCENARIOS]
    report = {"events": EVENTS, "tenants": TENANTS, "minutes": MINUTES, "cores": os.cpu_count(),
              "scenarios": results}
    (TOOLS / "results.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0 if all(not result["faults"] for result in results) else 1


def measure(name):
    folder, claim = claim_folder(TOOLS, name)
    line = Line(folder, Redis(folder), Postgres(folder, **POSTGRES))
    try:
        line.start_servers()
        line.migrate()
        line.catalog()
        filled = fill(line, REPEATS_PERCENT[name])
        floor = read_floor(line)
        drained = drain(line)
        return tell(line, name, filled, floor, drained)
    finally:
        line.close()
        claim.release()


@dataclasses.dataclass
class Filled:
    seconds: float
    different: int
    expected: dict  # {(tenant, metric): quantity}


def fill(line, repeats_percent):
    began = time.monotonic()
    done = process.run([TOOLS / "fill", "127.0.0.1", line.redis.port, STREAM, EVENTS, TENANTS,
                        MINUTES, repeats_percent], timeout=None)
    seconds = time.monotonic() - began
    if done.returncode != 0:
        sys.exit(done.stderr)
    first, *rest = [text.split() for text in done.stdout.splitlines()]
    expected = {(tenant, metric): decimal.Decimal(quantity) for tenant, metric, quantity in rest}
    return Filled(seconds, int(first[1]), expected)


def read_floor(line):
    """The fastest of a few: what disturbs a run only ever makes it slower."""
    runs = []
    for _ in range(FLOOR_READS):
        redis_before = redis_cpu_s(line)
        done = process.run([TOOLS / "floor", "127.0.0.1", line.redis.port, STREAM], timeout=None)
        if done.returncode != 0:
            sys.exit(done.stderr)
        entries, seconds, cpu_s = done.stdout.split()
        runs.append(Speed(int(entries), float(seconds), float(cpu_s),
                          redis_cpu_s=redis_cpu_s(line) - redis_before))
    return min(runs, key=lambda run: run.seconds)


def drain(line):
    redis_before, postgres_before = redis_cpu_s(line), postgres_cpu_s(line)
    stage = line.start("aggregator", args=["--once"], LOG_LEVEL="info")
    _, status, usage = os.wait4(stage.pid, 0)
    stage.process.returncode = os.waitstatus_to_exitcode(status)
    stage.wait_exit()
    batches = stage.logs("batch_committed")
    if stage.returncode != 0 or not batches:
        sys.exit(f"the aggregator ended with {stage.returncode}\n{stage.log_tail()}")
    opened = stage.logs("stream_opened")[0]
    return Speed(EVENTS, seconds_between(opened, batches[-1]), usage.ru_utime + usage.ru_stime,
                 usage.ru_maxrss / 1024, postgres_cpu_s(line) - postgres_before,
                 redis_cpu_s(line) - redis_before)


def seconds_between(first, last):
    def at(record):
        whole, _, fraction = record["ts"].rstrip("Z").partition(".")
        return time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{fraction}")
    return max(at(last) - at(first), 0.001)


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


# Does the ledger hold what was emitted?

def find_faults(line, filled, audit):
    faults = []
    if not audit.ok:
        faults.append("the audit does not balance")
    wanted = {"added": EVENTS, "counted": filled.different, "duplicates": EVENTS - filled.different,
              "rejected": 0, "conflicts": 0, "waiting": 0, "difference": 0}
    for term, number in wanted.items():
        if audit.total(term) != number:
            faults.append(f"{term} is {audit.total(term):,}, not {number:,}")
    totals = ledger_totals(line)
    wrong = [key for key in filled.expected.keys() | totals.keys()
             if filled.expected.get(key) != totals.get(key)]
    if wrong:
        key = min(wrong)
        faults.append(f"{len(wrong):,} totals differ: {key} is {totals.get(key)}, not "
                      f"{filled.expected.get(key)}")
    return faults


def ledger_totals(line):
    """Over billing periods, which may change within the minutes: sums add up, levels stand last."""
    rows = line.sql("""
        SELECT tenant, metric, CASE WHEN m.aggregation = 'last'
                               THEN (array_agg(t.quantity ORDER BY t.period_start DESC))[1]
                               ELSE sum(t.quantity) END AS quantity
          FROM usage_totals t JOIN metrics m USING (metric)
         GROUP BY tenant, metric, m.aggregation""")
    return {(row.tenant, row.metric): row.quantity for row in rows}


def stored_bytes(line):
    return int(line.value("SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits "
                          "WHERE inhparent = 'usage_batches'::regclass"))


# Telling.

def tell(line, name, filled, floor, drained):
    audit = line.audit()
    faults = find_faults(line, filled, audit)
    bytes_per_event = stored_bytes(line) / filled.different
    ratio = drained.events_per_s / floor.events_per_s
    minute_rows = line.value("SELECT count(*) FROM usage_aggregates")
    print(f"\n{name}: {REPEATS_PERCENT[name]} % repeats; filled at "
          f"{EVENTS / filled.seconds:,.0f} events/s\n")
    print(f"  {'':<18}{'events/s':>11}{'seconds':>10}{'CPU s':>8}{'PostgreSQL':>12}{'Redis':>8}"
          f"{'peak MiB':>10}")
    for title, speed in ("bare XREAD loop", floor), ("aggregator", drained):
        print(f"  {title:<18}{speed.events_per_s:>11,.0f}{speed.seconds:>10.2f}{speed.cpu_s:>8.2f}"
              f"{speed.postgres_cpu_s:>12.2f}{speed.redis_cpu_s:>8.2f}{speed.peak_mib:>10,.0f}")
    print(f"  {'ratio':<18}{ratio:>11.2f}\n")
    print(f"  {bytes_per_event:.1f} bytes stored for each raw event; {minute_rows:,} minute rows; "
          f"{len(filled.expected):,} totals compared")
    for text in audit.text.splitlines():
        if not text.startswith("audit billing "):  # There is nobody to bill here.
            print(f"  {text}", flush=True)
    for fault in faults:
        print(f"  WRONG: {fault}", flush=True)
    return {"scenario": name, "ratio": round(ratio, 4), "floor": numbers(floor),
            "aggregator": numbers(drained), "bytes_per_event": round(bytes_per_event, 2),
            "minute_rows": minute_rows, "audit": audit.streams, "faults": faults}


def numbers(speed):
    fields = {**dataclasses.asdict(speed), "events_per_s": speed.events_per_s}
    return {key: round(value, 3) for key, value in fields.items()}


if __name__ == "__main__":
    sys.exit(main())
