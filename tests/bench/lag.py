"""From XADD to the quota cache, while events come steadily."""

import time

from line.line import STREAM

from . import proof, settings
from .ground import open_line, read_emitted, run_tool, tell_load


def run():
    print(f"\nlag: {settings.LAG_RATE:,} events/s for {settings.LAG_SECONDS} s, "
          f"{settings.LAG_TENANTS:,} tenants, {settings.PROBES_PER_S} probes/s", flush=True)
    with open_line("lag") as line:
        stage = line.start_aggregator(LOG_LEVEL="info").wait_ready()
        tell_load("emitting")
        probes = line.folder / "probes.txt"
        began = time.monotonic()
        text = run_tool(line, "lag", settings.LAG_RATE, settings.LAG_SECONDS,
                        settings.LAG_TENANTS, settings.PROBES_PER_S, probes)
        emitted = read_emitted(text, None, time.monotonic() - began)
        emitted.entries = emitted.different
        line.wait_for(lambda: line.client().xlen(STREAM) == 0, what="the stream is drained")
        stage.term()
        lags = [int(row.split()[1]) for row in probes.read_text(encoding="ascii").splitlines()]
        return {"per_s": settings.LAG_RATE, "seconds": settings.LAG_SECONDS,
                "tenants": settings.LAG_TENANTS, **summary(lags), "probes_us": sorted(lags),
                "faults": proof.find_faults(line, emitted)}


def summary(lags):
    lags = sorted(lags)
    return {"probes": len(lags), "p50_ms": at_share(lags, 50), "p99_ms": at_share(lags, 99),
            "max_ms": lags[-1] / 1000}


def at_share(lags, percent):
    """The smallest lag that so many percent do not exceed (nearest rank), in ms."""
    rank = -(-len(lags) * percent // 100)
    return lags[rank - 1] / 1000


def tell(result):
    print(f"\n  XADD to quota cache, {result['probes']:,} probes: p50 {result['p50_ms']:.0f} ms, "
          f"p99 {result['p99_ms']:.0f} ms, max {result['max_ms']:.0f} ms "
          f"(target: p99 below {settings.LAG_P99_MS_MAX} ms)")
    for fault in result["faults"]:
        print(f"  WRONG: {fault}")
