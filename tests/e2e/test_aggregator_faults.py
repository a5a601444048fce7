"""Whatever dies, at whatever moment, an event is counted once."""

import contextlib
import json
import random

import pytest

from line.line import STREAM
from support.aggregator import CATALOG, apply, start
from support.ledger_proof import Emitter, Flow, assert_balanced, position, prove, reasons, settle


@pytest.mark.parametrize("point", ["after_commit", "in_transaction", "while_reading",
                                   "after_commit:4", "in_transaction:3", "while_reading:5"])
def test_killed_at_a_named_point_it_goes_on_exactly(line, point):
    emitter = Emitter(line)
    emitter.add_all(emitter.usage(500, repeats=0.2))
    crashing = start(line, METERLINE_TEST_CRASH=point, AGGREGATOR_BATCH_MAX=60)
    assert crashing.wait_exit() == -9
    emitter.add_all(emitter.usage(100, seed=1))  # All of them again.
    emitter.add_all(emitter.usage(100, seed=2))
    start(line)
    settle(line)
    prove(line, emitter.oracle)


@pytest.mark.parametrize("keep_s", [0, 3600])
def test_killed_between_commit_and_trim_the_next_one_trims(line, keep_s):
    emitter = Emitter(line)
    emitter.add_all(emitter.usage(100))
    crashing = start(line, METERLINE_TEST_CRASH="after_commit")
    assert crashing.wait_exit() == -9
    assert line.client().xlen(STREAM) == 100
    start(line, STREAM_KEEP_S=keep_s).wait_log("stream_opened")
    if keep_s:
        emitter.add_all(emitter.usage(10, seed=2))
        line.wait_for(lambda: position(line).counted == 110, 10, "all is counted")
        assert line.client().xlen(STREAM) == 110
    else:
        settle(line)
    prove(line, emitter.oracle)


def test_killed_at_ten_random_moments_under_load(line):
    choose = random.Random(20260101)
    line.settings["AGGREGATOR_FLUSH_MS"] = 5
    with Flow(line, rest_s=0.001) as flow:
        for _ in range(10):
            aggregator = line.start_aggregator()
            aggregator.wait_log("batch_committed")
            flow.wait_added(choose.randrange(1, 120))
            aggregator.kill9()
    start(line)
    settle(line)
    prove(line, flow.oracle, entries=False)


def test_sigterm_under_load_ends_at_once_and_gives_the_stream_back(line):
    with Flow(line) as flow:
        for flush_ms in (5, 1000):
            aggregator = start(line, AGGREGATOR_FLUSH_MS=flush_ms)
            aggregator.wait_log("batch_committed")
            flow.wait_added(50)
            aggregator.term()
            assert position(line).owner is None
            assert not aggregator.logs("peer_lost")
            assert not aggregator.logs(level="error")
    start(line)
    settle(line)
    prove(line, flow.oracle, entries=False)


@pytest.mark.own_servers
@pytest.mark.parametrize("peer", ["redis", "postgres"])
def test_a_server_that_stops_under_load_is_waited_for(line, peer):
    server = getattr(line, peer)
    line.redis.client().config_set("appendfsync", "always")
    aggregator = start(line)
    with Flow(line) as flow:
        aggregator.wait_log("batch_committed")
        flow.wait_added(50)
        server.stop()
        aggregator.wait_log("peer_lost", peer=peer)
        line.wait_for(lambda: aggregator.get("/readyz")[0] == 503, 5, "it is not ready")
        assert aggregator.get("/healthz")[0] == 200
        server.start()
        aggregator.wait_log("peer_back", peer=peer)
        mark = aggregator.mark()
        aggregator.wait_ready()
        flow.wait_added(50)
        aggregator.wait_log("batch_committed", since=mark)
    settle(line)
    told = [lost["msg"] for lost in aggregator.logs("peer_lost")]
    assert len(set(told)) == len(told) <= 4 and len(aggregator.logs("peer_back")) == 1
    assert not aggregator.logs("stream_step_failed")
    assert not aggregator.logs("epoch_opened")
    prove(line, flow.oracle, entries=False)


@pytest.mark.own_servers
def test_a_server_that_is_killed_under_load_loses_nothing_that_was_acknowledged(line):
    line.redis.conf["appendfsync"] = "always"
    line.redis.restart()
    aggregator = start(line, AGGREGATOR_FLUSH_MS=20)
    with Flow(line) as flow:
        for server in (line.postgres, line.redis, line.postgres):
            mark = aggregator.mark()
            aggregator.wait_log("batch_committed", since=mark)
            mark = aggregator.mark()
            server.kill()
            server.start()
            aggregator.wait_log("stream_opened", since=mark)
    settle(line)
    prove(line, flow.oracle, entries=False)


def test_the_entry_that_postgres_refuses_is_set_aside_alone(line):
    emitter = Emitter(line)
    emitter.add(tenant="full", metric="api_calls", quantity=1)
    aggregator = start(line)
    settle(line)
    line.sql("UPDATE usage_totals SET quantity = 99999999999999999999999999999")
    aggregator.term()
    emitter.add_all(emitter.usage(40))
    refused = emitter.add(tenant="full", metric="api_calls", quantity=2, note="the culprit")
    assert refused.kind == "counted"  # By the rules: it is the ledger that has no room.
    culprit = line.client().xinfo_stream(STREAM)["last-generated-id"]
    emitter.add_all(emitter.usage(40, seed=2))
    aggregator = start(line)
    settle(line)
    row, = line.sql("SELECT * FROM rejected_events")
    assert (row.stream_id, row.reason, row.tenant) == (culprit, "refused", "full")
    assert row.detail.startswith("22003") and ["note", "the culprit"] in row.fields
    aggregator.wait_log("batch_refused", entries=1)
    line.sql("UPDATE usage_totals SET quantity = 1 WHERE tenant = 'full'")
    assert position(line).counted == 81 and position(line).rejected == 1
    assert_balanced(line)


def test_dimensions_that_no_index_takes_are_refused_alone(line):
    catalog = json.loads(json.dumps(CATALOG))
    names = [f"d{n:02}" for n in range(16)]
    catalog["metrics"][0]["dimensions"] = names
    emitter = Emitter(line, apply(line, catalog))
    choose = random.Random(3)
    emitter.add(tenant="a", metric="tokens", id="1")
    noise = {name: "".join(chr(choose.randrange(0x4e00, 0x9fff)) for _ in range(85))
             for name in names}
    line.client().xadd(STREAM, {"tenant": "a", "metric": "tokens", "id": "2", **noise})
    emitter.add(tenant="b", metric="tokens", id="3")
    start(line)
    settle(line)
    assert reasons(line) == {"refused": 1}
    assert position(line).counted == 2
    assert_balanced(line)


def test_days_without_a_partition_do_not_turn_events_into_rejects(line):
    emitter = Emitter(line)
    emitter.add_all(emitter.usage(20))
    for name, in line.sql("SELECT inhrelid::regclass::text FROM pg_inherits"
                          " WHERE inhparent = 'usage_batches'::regclass"):
        line.sql(f"DROP TABLE {name}")
    with contextlib.closing(line.postgres.connect()) as slow:
        slow.cursor().execute("SELECT pg_advisory_lock(hashtext('meterline partitions'))")
        aggregator = start(line, AGGREGATOR_FLUSH_MS=1)
        line.wait_for(lambda: aggregator.logs("batch_refused") or line.value(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == 2,
            10, "it waits for partitions")
    settle(line)
    prove(line, emitter.oracle)


def test_a_row_deleted_by_hand_shows_in_the_audit(line):
    emitter = Emitter(line)
    emitter.add_all(emitter.usage(50))
    line.must("aggregator", "--once")
    assert_balanced(line)
    line.sql("CREATE TABLE kept AS SELECT * FROM usage_batches")
    line.sql("DELETE FROM usage_batches WHERE slice = (SELECT min(slice) FROM usage_batches)")
    audit = line.audit()
    assert audit.exit_code == 1 and "audit unbalanced" in audit.text
    assert any(f"stream={STREAM}" in text and "raw_events=" in text
               for text in audit.text.splitlines())
    line.sql("DELETE FROM usage_batches; INSERT INTO usage_batches SELECT * FROM kept")
    assert_balanced(line)
    line.sql("DELETE FROM usage_aggregates WHERE (tenant, minute_at) ="
             " (SELECT tenant, min(minute_at) FROM usage_aggregates GROUP BY tenant LIMIT 1)")
    assert line.audit().exit_code == 1
