"""An id counts once: within the window whatever its time, and at any age with the same one."""

import pytest

from line.line import STREAM
from support.aggregator import add_many, age, now_ms, start
from support.ledger_proof import Emitter, assert_balanced, position, prove, settle
from support.usage_oracle import MINUTE_MS


@pytest.mark.parametrize("batch_max", [1, 50_000])
def test_what_left_the_window_is_recognised_by_its_time(line, batch_max):
    line.settings["AGGREGATOR_BATCH_MAX"] = batch_max
    emitter = Emitter(line)
    ts = now_ms() - 40 * 60 * MINUTE_MS
    event = {"tenant": "acme", "metric": "api_calls", "quantity": "5", "note": "ü\n"}
    uuid = "6f9619ff-8b86-d011-b42d-00c04fc964ff"
    for id in ("plain", uuid, "other"):
        emitter.add(event, id=id, ts=ts)
    emitter.add(event, id="recent")
    line.must("aggregator", "--once")
    age(line, hours=30)
    for id in ("plain", uuid):
        assert emitter.add(event, id=id, ts=ts).kind == "duplicates"
        assert emitter.add({**event, "quantity": 6}, id=id, ts=ts).kind == "conflicts"
    # Out of the window and with another time: new again. The next one is its repeat.
    del emitter.oracle.first["acme", "plain"]
    assert emitter.add(event, id="plain", ts=ts + 1).kind == "counted"
    assert emitter.add(event, id="plain", ts=ts + 2).kind == "duplicates"
    assert emitter.add({**event, "note": ""}, id="plain").kind == "conflicts"
    assert emitter.add({**event, "tenant": "b"}, id="other", ts=ts).kind == "counted"
    emitter.add_all([{**event, "id": "fresh"}] * 3)
    line.must("aggregator", "--once")
    prove(line, emitter.oracle)


def test_within_the_window_it_is_recognised_whatever_its_time_also_after_a_restart(line):
    emitter = Emitter(line)
    events = [{"tenant": f"t{n % 20}", "metric": "api_calls", "id": f"{n}"} for n in range(300)]
    events += [{"tenant": "t", "metric": "api_calls"}] * 20
    emitter.add_all(events)
    line.must("aggregator", "--once")
    age(line, hours=23)
    for hours in (0, 1, 30 * 24):
        emitter.add_all([{**event, "ts": now_ms() - hours * 60 * MINUTE_MS}
                         for event in events[:300:3]])
    done = line.must("aggregator", "--once")
    assert "event=dedupe_window_rebuilt" in done.stderr and "keys=320" in done.stderr
    assert emitter.oracle.outcomes()["duplicates"] == 300
    prove(line, emitter.oracle)


def test_a_full_table_shrinks_the_window_and_says_so(line):
    # One batch, larger than a small table may take.
    aggregator = start(line, AGGREGATOR_BATCH_MAX=40_000, AGGREGATOR_FLUSH_MS=60_000)
    add_many(line, 0, 40_000)
    aggregator.wait_log("batch_committed", timeout=30, counted=40_000)
    aggregator.term()
    aggregator = start(line, DEDUPE_MEMORY_MB=1)
    aggregator.wait_log("stream_opened")
    assert aggregator.metric("meterline_dedupe_window_seconds") < 3600
    add_many(line, 40_000, 90_000)
    settle(line)
    aggregator.wait_log("dedupe_window_shrunk")
    metrics = aggregator.metrics()
    assert metrics.value("meterline_dedupe_window_seconds") < 60
    assert metrics.value("meterline_dedupe_bytes") <= 1 << 20
    assert metrics.value("meterline_dedupe_keys") < 90_000
    aggregator.term()
    again = start(line, DEDUPE_MEMORY_MB=1)
    again.wait_log("stream_opened")
    assert again.metric("meterline_dedupe_window_seconds") < 60  # Nor after a restart.
    again.term()
    assert position(line).counted == 130_000
    assert_balanced(line)


def test_ids_and_retractions_never_meet_and_an_id_that_names_an_entry_is_that_entrys(line):
    emitter = Emitter(line)
    emitter.add(tenant="a", metric="api_calls")
    default_id = f"{STREAM}/{line.client().xinfo_stream(STREAM)['last-generated-id']}"
    for fields in ({"id": default_id}, {"id": default_id, "op": "retract"}, {"id": default_id}, {}):
        emitter.add({"tenant": "a", "metric": "api_calls", **fields})
    for tenant, id in (("ab", "c"), ("a", "bc"), ("a", "b"), ("ab", "")):
        emitter.add(tenant=tenant, metric="api_calls", id=id)
    line.must("aggregator", "--once")
    prove(line, emitter.oracle)
    assert emitter.oracle.outcomes() == {"counted": 6, "duplicates": 2, "rejected": 1,
                                         "conflicts": 0}
