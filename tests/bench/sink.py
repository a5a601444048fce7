"""The sink: claims alone, then one event a call, then the stream, each from an empty database."""

import sys

from . import settings, shop
from .cost import follow
from .ground import open_line, tell_load
from .stripe import measure_ceiling, open_stand_in

STREAM_BATCH = 100  # Events a call; docs.stripe.com/api/v2/billing-meter-stream/create.


def run():
    print(f"\nsink: {settings.SINK_DELAY_MS} ms until an answer, {settings.SINK_IN_FLIGHT} calls in flight",
          flush=True)
    return {"claim": measure_claim(),
            "meter_events": measure_sending("meter_events", settings.SINK_CUSTOMERS * 2, 2, 1),
            "stream": measure_sending("meter_event_stream", settings.SINK_STREAM_TOTALS,
                                      settings.SINK_METRICS, STREAM_BATCH)}


def measure_claim():
    """Nobody listens where Stripe should be, so that nothing is sent."""
    with open_line("claim") as line:
        tell_load("filling for claims")
        totals = shop.fill(line, settings.SINK_TOTALS, settings.SINK_METRICS, "meter_events")
        tell_load("claiming")
        cycle, cost = run_sink(line)
        seconds = int(cycle["claim_ms"]) / 1000
        return {"totals": totals, "claimed": int(cycle["claimed"]), "seconds": seconds,
                "per_s": round(totals / seconds), **costs(cost), "faults": shop.find_wrong_claims(line)}


def measure_sending(transport, totals, metrics, events_per_call):
    with open_line(transport) as line, open_stand_in() as stand_in:
        tell_load(f"filling for {transport}")
        shop.fill(line, totals, metrics, transport)
        tell_load("bare client")
        ceiling = measure_ceiling(events_per_call)
        tell_load(f"sink by {transport}")
        cycle, cost = run_sink(line, STRIPE_API_BASE=stand_in.url)
        received = stand_in.received()
        return {**told(line, cycle), **costs(cost), "calls": received["calls"],
                "events_per_call": round(received["events"] / max(received["calls"], 1), 1),
                "ceiling_per_s": round(ceiling * events_per_call),
                "faults": shop.find_wrong_claims(line) + shop.find_wrong_receipts(line, received)}


def run_sink(line, **options):
    stage = line.start("sink", args=["--once"], SINK_RATE_PER_S=10_000,
                       SINK_MAX_IN_FLIGHT=settings.SINK_IN_FLIGHT, **options)
    cost = follow(line, stage.process)
    stage.wait_exit()
    cycles = stage.logs("cycle_settled")
    if stage.returncode != 0 or not cycles:
        sys.exit(f"the sink ended with {stage.returncode}\n{stage.log_tail()}")
    return cycles[-1], cost


def told(line, cycle):
    """From the first pick to the last settlement; whole_per_s: from the beginning of the claim."""
    [at] = line.sql("""
        SELECT count(*) AS n, extract(epoch FROM max(sent_at) - min(first_sent_at)) AS sending_s,
               extract(epoch FROM max(sent_at) - min(created_at)) AS whole_s FROM usage_submissions""")
    return {"events": at.n, "claim_s": int(cycle["claim_ms"]) / 1000, "sending_s": round(float(at.sending_s), 3),
            "whole_s": round(float(at.whole_s), 3), "per_s": round(at.n / max(float(at.sending_s), 0.001)),
            "whole_per_s": round(at.n / max(float(at.whole_s), 0.001))}


def costs(cost):
    return {"cpu_s": round(cost.cpu_s, 2), "peak_mib": round(cost.peak_mib, 1),
            "postgres_cpu_s": round(cost.postgres_cpu_s, 2)}


def tell(result):
    claim = result["claim"]
    print(f"\n  {claim['totals']:,} totals claimed in {claim['seconds']:.1f} s: {claim['per_s']:,}/s, peak "
          f"{claim['peak_mib']:.0f} MiB, CPU {claim['cpu_s']:.1f} s, PostgreSQL's {claim['postgres_cpu_s']:.1f} s")
    print(f"\n  {'':<16}{'events':>9}{'claim s':>9}{'sending s':>11}{'events/s':>10}{'bare client':>13}"
          f"{'ratio':>7}{'all, events/s':>15}{'CPU s':>8}{'PostgreSQL CPU s':>18}{'peak MiB':>10}")
    for name in "meter_events", "stream":
        r = result[name]
        print(f"  {name:<16}{r['events']:>9,}{r['claim_s']:>9.1f}{r['sending_s']:>11.1f}{r['per_s']:>10,}"
              f"{r['ceiling_per_s']:>13,}{r['per_s'] / r['ceiling_per_s']:>7.2f}{r['whole_per_s']:>15,}"
              f"{r['cpu_s']:>8.1f}{r['postgres_cpu_s']:>18.1f}{r['peak_mib']:>10.0f}")
    for part in result.values():
        for fault in part["faults"]:
            print(f"  WRONG: {fault}")
