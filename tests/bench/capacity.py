"""What to plan for: memory and disk of a million events, before and after they are counted, and of what follows."""

import pathlib

from . import settings, shop
from .ground import fill, open_line, tell_load
from .readers import drain
from .sink import run_sink
from .stripe import open_stand_in

TABLES = {"raw events": "usage_batches", "stream positions and seals": "stream_batches", "minutes": "usage_aggregates",
          "totals": "usage_totals"}


def run():
    return {"events": [measure_events(tenants) for tenants in settings.TENANTS], "submissions": measure_submissions()}


def measure_events(tenants):
    with open_line(f"capacity-{tenants}") as line:
        tell_load("filling")
        empty = line.client().info("memory")["used_memory"]
        entries = fill(line, settings.EVENTS, tenants, 0).entries
        waiting = line.client().info("memory")["used_memory"] - empty
        log = sum(path.stat().st_size for path in pathlib.Path(line.redis.data).rglob("*.aof"))
        before = {name: size(line, table) for name, table in TABLES.items()}
        reading = drain(line, entries)
        disk = {name: size(line, table) - before[name] for name, table in TABLES.items()}
        return {"tenants": tenants, "entries": entries, "redis_bytes_per_event": round(waiting / entries, 1),
                "aof_bytes_per_event": round(log / entries, 1), "disk_bytes": disk,
                "minute_rows": line.value("SELECT count(*) FROM usage_aggregates"),
                "quota_bytes_per_tenant": quota_bytes(line), "seconds": round(reading.seconds, 2),
                "cpu_s": round(reading.cost.cpu_s, 2), "postgres_cpu_s": round(reading.cost.postgres_cpu_s, 2),
                "redis_cpu_s": round(reading.cost.redis_cpu_s, 2), "peak_mib": round(reading.cost.peak_mib)}


def measure_submissions():
    with open_line("capacity-submissions") as line, open_stand_in() as stand_in:
        totals = shop.fill(line, settings.SINK_CUSTOMERS * 2, 2, "meter_events")
        before = size(line, "usage_submissions") + size(line, "usage_claims")
        _, cost = run_sink(line, STRIPE_API_BASE=stand_in.url)
        grown = size(line, "usage_submissions") + size(line, "usage_claims") - before
        return {"submissions": totals, "bytes": round(grown / totals), "cpu_s": round(cost.cpu_s, 2),
                "postgres_cpu_s": round(cost.postgres_cpu_s, 2), "peak_mib": round(cost.peak_mib)}


def size(line, table):
    """With indexes, and with all partitions of one that has them."""
    return int(line.value("""SELECT sum(pg_total_relation_size(c)) FROM (SELECT %s::regclass AS c UNION ALL
                                 SELECT inhrelid FROM pg_inherits WHERE inhparent = %s::regclass) AS parts""",
                          table, table))


def quota_bytes(line):
    keys = line.client().keys("quota:{tenant-*")[:1000]
    return round(sum(line.client().memory_usage(key) for key in keys) / max(len(keys), 1))


def tell(result):
    print(f"\n  {'tenants':>9}{'waiting in Redis':>18}{'append-only file':>18}{'raw':>8}{'all tables':>12}{'minute rows':>13}"
          f"{'quota cache':>13}{'CPU s':>8}{'PostgreSQL':>12}{'Redis':>8}{'peak MiB':>10}")
    for r in result["events"]:
        disk = r["disk_bytes"]
        print(f"  {r['tenants']:>9,}{r['redis_bytes_per_event']:>18}{r['aof_bytes_per_event']:>18}"
              f"{disk['raw events'] / r['entries']:>8.1f}{sum(disk.values()) / r['entries']:>12.1f}{r['minute_rows']:>13,}"
              f"{r['quota_bytes_per_tenant']:>13}{r['cpu_s']:>8}{r['postgres_cpu_s']:>12}{r['redis_cpu_s']:>8}{r['peak_mib']:>10}")
    print("  bytes an event, and bytes a tenant in the quota cache; CPU of all the events")
    s = result["submissions"]
    print(f"  {s['submissions']:,} submissions: {s['bytes']} bytes each; CPU {s['cpu_s']} s, PostgreSQL's "
          f"{s['postgres_cpu_s']} s, peak {s['peak_mib']} MiB")
