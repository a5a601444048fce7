#!/usr/bin/python3
"""make bench: how fast, how small and how fresh the aggregator is, and how fast the sink, on private,
durable servers.

    scenarios   with few and many tenants, without and with repeats, on one filled stream each: the
                floor (a bare XREAD loop), a peer as one would write it in an afternoon, the aggregator
    batches     throughput against the size of a batch
    lag         from XADD to the quota cache at a steady rate
    sink        a million totals claimed; events sent one a call, and by the stream, to a stand-in
                for Stripe, beside what that answers a bare client
    emit        libmeterline beside redis-benchmark, and how long emit takes; the emitter's daemon by wrk
    webhooks    signed webhooks stored and worked, beside two peers on Node; how soon who has paid goes on
    api         reads of usage and quotas by 64 connections, beside libmicrohttpd alone and a peer on Node
    capacity    memory and disk of the events, and of what follows from them; only if PARTS names it

Settings by environment, see settings.py; PARTS=scenarios,lag chooses. Results as JSON and plots go to
build/bench/. No speed passes or fails; exit code 1: the ledger does not hold what was
emitted, or the stand-in not what was claimed."""

import itertools
import json
import os
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from bench import batches, capacity, emitting, lag, plots, reads, scenario, settings, sink, verdict, webhooks  # noqa: E402


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(f"{os.cpu_count()} cores for everything: load, Redis, PostgreSQL, readers; "
          f"load before: {os.getloadavg()[0]:.1f}", flush=True)
    began = time.monotonic()
    report = {"cores": os.cpu_count(), "minutes": settings.MINUTES, "scenarios": []}
    for repeats_percent, tenants in wanted_scenarios():
        report["scenarios"].append(scenario.run_scenario(tenants, repeats_percent))
        scenario.tell(report["scenarios"][-1])
        save(report)
    for part, run in ("batches", batches), ("lag", lag), ("sink", sink), ("emit", emitting), \
            ("webhooks", webhooks), ("api", reads), ("capacity", capacity):
        if part in settings.PARTS:
            report[part] = run.run()
            run.tell(report[part])
            save(report)
    print(f"\n{time.monotonic() - began:.0f} s in all", flush=True)
    plots.draw(report)
    verdict.tell(report)
    return 1 if faults_in(report) else 0


def wanted_scenarios():
    if "scenarios" not in settings.PARTS:
        return []
    return itertools.product(settings.REPEATS, settings.TENANTS)


def save(report):
    """After each part, should a later one break off."""
    settings.OUT.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=1) + "\n"
    (settings.OUT / "results.json").write_text(text, encoding="utf-8")


def faults_in(report):
    measured = [*report["scenarios"], *report.get("batches", {}).get("points", []),
                report.get("lag", {}), *report.get("sink", {}).values(), report.get("webhooks", {})]
    return [fault for result in measured for fault in result.get("faults", [])]


if __name__ == "__main__":
    sys.exit(main())
