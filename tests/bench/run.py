#!/usr/bin/python3
"""make bench: how fast, how small and how fresh the aggregator is, on private, durable servers.

    scenarios   with few and many tenants, without and with repeats, on one filled stream each: the
                floor (a bare XREAD loop), a peer as one would write it in an afternoon, the aggregator
    batches     throughput against the size of a batch
    lag         from XADD to the quota cache at a steady rate

Settings by environment, see settings.py; PARTS=scenarios,lag chooses. Results as JSON and plots go to
build/bench/. No speed passes or fails; exit code 1: the ledger does not hold what was emitted."""

import json
import os
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import batches  # noqa: E402
import lag  # noqa: E402
import plots  # noqa: E402
import scenario  # noqa: E402
import settings  # noqa: E402
import verdict  # noqa: E402


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(f"{os.cpu_count()} cores for everything: load, Redis, PostgreSQL, readers; "
          f"load before: {os.getloadavg()[0]:.1f}", flush=True)
    report = {"cores": os.cpu_count(), "minutes": settings.MINUTES, "scenarios": []}
    if "scenarios" in settings.PARTS:
        for repeats_percent in settings.REPEATS:
            for tenants in settings.TENANTS:
                report["scenarios"].append(told(scenario, scenario.run_scenario(tenants,
                                                                               repeats_percent)))
    if "batches" in settings.PARTS:
        report["batches"] = told(batches, batches.run_batches())
    if "lag" in settings.PARTS:
        report["lag"] = told(lag, lag.run_lag())
    (settings.OUT / "results.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    plots.draw(report)
    verdict.tell(report)
    return 1 if faults_in(report) else 0


def told(part, result):
    part.tell(result)
    return result


def faults_in(report):
    measured = [*report["scenarios"], *report.get("batches", {}).get("points", []),
                report.get("lag", {})]
    return [fault for result in measured for fault in result.get("faults", [])]


if __name__ == "__main__":
    sys.exit(main())
