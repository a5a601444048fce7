"""The bench measures what it says, and a ledger that does not hold what was emitted fails it."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from bench import lag, proof, settings, shop, verdict
from bench.ground import Emitted, fill
from bench.stripe import open_stand_in
from line.paths import ROOT

SMALL = {"EVENTS": 4000, "TENANTS": "20", "REPEATS": "5", "PEER_EVENTS": 1000, "FLOOR_READS": 1,
         "BATCHES": "500,5000", "BATCHES_TENANTS": 20, "LAG_RATE": 500, "LAG_SECONDS": 2,
         "LAG_TENANTS": 20, "SINK_TOTALS": 1000, "SINK_CUSTOMERS": 50, "SINK_STREAM_TOTALS": 1000,
         "SINK_IN_FLIGHT": 8, "SINK_DELAY_MS": 5, "SINK_CEILING_S": 1,
         "WEBHOOK_TENANTS": 20, "WEBHOOK_CYCLES": 1, "WEBHOOK_ROUNDS": 1, "WEBHOOK_PEERS": 0, "UNBLOCK_TRIES": 3, "UNBLOCK_RATE": 100,
         "UNBLOCK_BACKLOG": 50, "EMIT_EVENTS": 4000, "EMIT_ROUNDS": 1}


def test_small_run_measures_all_parts_and_finds_the_ledger_right(folder):
    env = {**os.environ, **{name: str(value) for name, value in SMALL.items()}, "OUT": str(folder)}
    done = subprocess.run([sys.executable, ROOT / "tests/bench/run.py"], env=env, text=True,
                          capture_output=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    [result] = report["scenarios"]
    assert 3600 < result["different"] < 4000 and result["faults"] == []
    assert result["floor"]["entries"] == result["aggregator"]["entries"] == 4000
    assert result["peer"]["entries"] == 1000 and result["peer"]["bytes_per_event"] > 50
    assert result["aggregator"]["dedupe_keys"] == result["different"]
    # The floor may be through before it is looked at.
    assert all(result[who]["peak_mib"] > 1 for who in ("peer", "aggregator"))
    assert [point["batch_max"] for point in report["batches"]["points"]] == [500, 5000]
    assert 10 < report["lag"]["probes"] < 100 and 0 < report["lag"]["p50_ms"]
    sink = report["sink"]
    assert sink["claim"]["totals"] == sink["claim"]["claimed"] == sink["stream"]["events"] == 1000
    assert sink["meter_events"]["calls"] == 100 and 10 <= sink["stream"]["calls"] < 100
    emit = report["emit"]
    assert emit["per_s"] > 0 and emit["redis_benchmark_per_s"] > 0 and 0 < emit["median_ns"] <= emit["p999_ns"]
    webhooks = report["webhooks"]
    [[stored], [worked]] = [[both["webhookd"] for both in webhooks[part]["rounds"]] for part in ("stored", "worked")]
    assert webhooks["faults"] == [] and stored["events"] == worked["events"] == 20 * 9
    assert stored["per_s"] > 0 and worked["stored_per_s"] >= worked["per_s"] > 0
    assert all(webhooks["unblocking"][part]["tries"] == 3 for part in ("under_load", "behind_backlog"))
    assert all(sink[part]["ceiling_per_s"] > sink[part]["per_s"] > 0 for part in ("meter_events", "stream"))
    assert all(part["faults"] == [] and 1 < part["peak_mib"] < 64 for part in sink.values())
    assert "WRONG" not in done.stdout and "bytes a key" in done.stdout
    if shutil.which("gnuplot"):
        assert {path.name for path in folder.glob("*.png")} == {"tenants.png", "batches.png",
                                                               "lag.png"}


@pytest.fixture
def counted(line):
    """(line, what was emitted), counted by the aggregator."""
    emitted = fill(line, 2000, 10, 5)
    line.must("aggregator", "--once")
    assert proof.find_faults(line, emitted) == []
    return line, emitted


@pytest.mark.parametrize("damage", [
    "UPDATE usage_totals SET quantity = quantity + 0.001 WHERE tenant = 'tenant-000003' "
    "AND metric = 'api_calls'",
    "DELETE FROM usage_totals WHERE tenant = 'tenant-000003' AND metric = 'api_calls'",
])
def test_wrong_total_is_a_fault(counted, damage):
    line, emitted = counted
    line.sql(damage)
    assert proof.find_faults(line, emitted)[-1].startswith("1 totals differ: ('tenant-000003', 'api_calls')")


def test_event_that_is_missing_or_counted_twice_is_a_fault(counted):
    line, emitted = counted
    more = Emitted(emitted.entries, emitted.different + 1, emitted.totals, 1)
    faults = proof.find_faults(line, more)
    assert [fault.split()[0] for fault in faults] == ["counted", "duplicates"]


@pytest.mark.parametrize("damage, fault", [
    ("UPDATE usage_submissions SET quantity = quantity + 1 WHERE tenant = 'tenant-0000003' "
     "AND metric = 'api_calls'", "1 totals are not claimed to the unit"),
    ("UPDATE usage_submissions SET state = 'pending' WHERE tenant = 'tenant-0000003' "
     "AND metric = 'api_calls'", "1 submissions are not sent"),
])
def test_claim_that_is_wrong_or_not_sent_is_a_fault(line, damage, fault):
    with open_stand_in() as stand_in:
        shop.fill(line, 20, 2, "meter_event_stream")
        line.must("sink", "--once", STRIPE_API_BASE=stand_in.url)
        received = stand_in.received()
    assert shop.find_wrong_claims(line) + shop.find_wrong_receipts(line, received) == []
    assert received["distinct"] == 20
    line.sql(damage)
    assert fault in shop.find_wrong_claims(line) + shop.find_wrong_receipts(line, received)


def test_event_that_never_came_or_came_twice_is_a_fault(line):
    with open_stand_in() as stand_in:
        shop.fill(line, 20, 2, "meter_events")
        line.must("sink", "--once", STRIPE_API_BASE=stand_in.url)
        received = stand_in.received()
    once_more = {**received, "events": 21, "distinct": 19}
    assert shop.find_wrong_receipts(line, once_more) == [
        "the stand-in's events are 21, not 20", "the stand-in's distinct are 19, not 20"]


def test_percentiles_are_nearest_ranks():
    assert lag.summary([5000]) == {"probes": 1, "p50_ms": 5, "p99_ms": 5, "max_ms": 5}
    hundred = [us * 1000 for us in range(200, 0, -1)]
    assert lag.summary(hundred) == {"probes": 200, "p50_ms": 100, "p99_ms": 198, "max_ms": 200}


def test_targets_are_told_as_met_or_missed(capsys):
    def one(ratio, p99_ms):
        aggregator = {"beside_table_mib": 200, "dedupe_bytes_per_key": 11}
        verdict.tell({"scenarios": [{"tenants": 10_000, "repeats_percent": 0, "ratio": ratio,
                                     "times_peer": 10, "bytes_per_event": 50,
                                     "aggregator": aggregator}], "lag": {"p99_ms": p99_ms}})
        return capsys.readouterr().out

    def sink(seconds, per_s, whole_per_s, peak_mib):
        parts = {"claim": {"seconds": seconds, "totals": 500_000}, "meter_events": {"per_s": per_s},
                 "stream": {"whole_per_s": whole_per_s}}
        verdict.tell({"scenarios": [], "sink": {name: {**part, "peak_mib": peak_mib}
                                                for name, part in parts.items()}})
        return capsys.readouterr().out

    assert settings.RATIO_MIN[10_000] == 0.9
    assert "MISSED" not in one(0.9, 1499)
    assert one(0.899, 1500).count("MISSED") == 2
    assert "MISSED" not in sink(9.9, 1000, 100_000, 63.9)
    assert sink(10, 999, 99_999, 64).count("MISSED") == 4
