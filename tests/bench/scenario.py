"""One scenario: the floor, the peer and the aggregator, one after the other on one filled stream."""

import sys

from . import proof, settings
from .ground import fill, limit_all, open_line, tell_load
from .readers import drain, read_floor, read_peer


def run_scenario(tenants, repeats_percent):
    entries = settings.REPEATS_EVENTS if repeats_percent else settings.EVENTS
    name = f"{tenants} tenants, {repeats_percent} % repeats"
    print(f"\n{entries:,} events, {name}, used within {settings.MINUTES} minutes", flush=True)
    with open_line(f"{tenants}-{repeats_percent}") as line:
        tell_load("filling")
        emitted = fill(line, entries, tenants, repeats_percent)
        limit_all(line, emitted, settings.WINDOW)
        empty_bytes = proof.database_bytes(line)
        floor, peer = read_floor(line), read_peer(line)
        drained = drain(line, entries)
        result = {"tenants": tenants, "repeats_percent": repeats_percent, "entries": entries,
                  "different": emitted.different, "filled_per_s": round(emitted.per_s),
                  "floor": floor.as_json(), "peer": peer.as_json(),
                  "aggregator": drained.as_json(),
                  "ratio": round(drained.per_s / floor.per_s, 3),
                  "times_peer": round(drained.per_s / peer.per_s, 1),
                  **stored(line, emitted, empty_bytes), "faults": proof.find_faults(line, emitted)}
    return result


def stored(line, emitted, empty_bytes):
    grown = proof.database_bytes(line) - empty_bytes
    return {"bytes_per_event": round(proof.raw_bytes(line) / emitted.different, 1),
            "database_bytes_per_event": round(grown / emitted.different, 1),
            "minute_rows": line.value("SELECT count(*) FROM usage_aggregates"),
            "totals": len(emitted.totals)}


def tell(result):
    print(f"\n  {'':<18}{'events/s':>11}{'seconds':>10}{'CPU s':>8}{'peak MiB':>10}"
          f"{'PostgreSQL CPU s':>18}{'Redis CPU s':>13}")
    for title, key in ("bare XREAD loop", "floor"), ("peer", "peer"), ("aggregator", "aggregator"):
        r = result[key]
        print(f"  {title:<18}{r['per_s']:>11,}{r['seconds']:>10.2f}{r['cpu_s']:>8.2f}"
              f"{r['peak_mib']:>10,.0f}{r['postgres_cpu_s']:>18.2f}{r['redis_cpu_s']:>13.2f}")
    a = result["aggregator"]
    print(f"\n  {result['ratio']:.2f} of the bare loop, {result['times_peer']:.0f} times the peer "
          f"(by rate; it took the first {result['peer']['entries']:,})\n"
          f"  {result['bytes_per_event']} bytes stored for each raw event, "
          f"{result['database_bytes_per_event']} with {result['minute_rows']:,} minute rows and all "
          f"else; the peer {result['peer']['bytes_per_event']}\n"
          f"  deduplication table: {a['dedupe_keys']:,} keys, {a['dedupe_bytes_per_key']} bytes "
          f"each; peak beside it {a['beside_table_mib']} MiB\n"
          f"  {result['totals']:,} totals compared with what was emitted; filled at "
          f"{result['filled_per_s']:,} events/s")
    for fault in result["faults"]:
        print(f"  WRONG: {fault}")
    sys.stdout.flush()
