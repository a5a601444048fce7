"""Where two parts of the aggregator meet: what one of them leaves behind is taken up by the other."""

import contextlib
import json
import random
import threading
import time

import pytest

from line.line import STREAM
from support.aggregator import CATALOG, apply, fill, start
from support.forwarder import Forwarder
from support.ledger_proof import Emitter, assert_balanced, position, prove, reasons, settle
from support.shard_flow import stream_of


def test_a_key_that_no_index_takes_is_refused_alone_in_a_deep_backlog_too(line):
    catalog = json.loads(json.dumps(CATALOG))
    catalog["metrics"][0]["dimensions"] = names = [f"d{n:02}" for n in range(16)]
    apply(line, catalog)
    choose = random.Random(3)
    noise = {name: "".join(chr(choose.randrange(0x4e00, 0x9fff)) for _ in range(85))
             for name in names}
    events = [{"tenant": f"t{n}", "metric": "tokens", "id": str(n)} for n in range(12000)]
    line.emit(events[:1500])
    line.client().xadd(STREAM, {"tenant": "a", "metric": "tokens", "id": "large", **noise})
    line.emit(events[1500:])
    line.must("aggregator", "--once", AGGREGATOR_BATCH_MAX=3000)
    assert reasons(line) == {"refused": 1}
    assert position(line).counted == 12000
    assert line.value("SELECT sum(quantity) FROM usage_totals WHERE metric = 'tokens'") == 12000
    assert_balanced(line)


def shift_clock(line, interval):
    """What a statement from now on takes for now() is the server's time and that interval."""
    line.sql("CREATE TABLE clock_shift AS SELECT %s::interval AS shift", interval)
    line.sql("GRANT SELECT ON clock_shift TO PUBLIC")
    line.sql("ALTER FUNCTION pg_catalog.now() RENAME TO true_now")
    line.sql("CREATE FUNCTION pg_catalog.now() RETURNS timestamptz LANGUAGE sql STABLE "
             "AS 'SELECT pg_catalog.true_now() + shift FROM public.clock_shift'")


def test_the_first_entry_after_a_long_rest_is_judged_by_the_time_of_now(line):
    emitter = Emitter(line)
    shift_clock(line, "-2 days")
    start(line).wait_log("stream_opened")
    line.sql("UPDATE clock_shift SET shift = '0'")
    assert emitter.add(tenant="a", metric="api_calls", quantity=2).kind == "counted"
    settle(line)
    assert reasons(line) == {}
    prove(line, emitter.oracle)


def test_sigterm_in_a_deep_backlog_leaves_no_sums_pending(line):
    for n in range(3):
        line.emit([{"tenant": f"t{m}", "metric": "api_calls"} for m in range(20000)])
        aggregator = start(line, AGGREGATOR_BATCH_MAX=2500)
        aggregator.wait_log("batch_committed")
        aggregator.term()
        assert line.value("SELECT count(*) FROM usage_pending") == 0, n


class Drip(Forwarder):
    """Replies come in small pieces, so that nearly always one has come in part."""

    def _pump(self, source, sink, upward):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                for at in range(0, len(data), 997):
                    sink.sendall(data[at:at + 997])
                    if len(data) > 997:
                        time.sleep(0.0005)


def test_replies_that_come_in_pieces_are_counted_as_they_were_sent(line):
    emitter = Emitter(line)
    emitter.add_all(emitter.usage(6000, tenants=50))
    with Drip(line.redis.port) as drip:
        aggregator = start(line, REDIS_URL=drip.url, AGGREGATOR_BATCH_MAX=300)
        settle(line, 90)
        aggregator.term()
    prove(line, emitter.oracle)


@pytest.mark.own_servers
def test_a_batch_that_is_forgotten_half_sent_leaves_nothing(line):
    """PostgreSQL takes some of a large batch and then no more; Redis is lost meanwhile, and with it
    the batch. What it had taken must not be committed."""
    events = 100_000
    fill(line, 1000, events)
    port = int(line.postgres.url.rsplit(":", 1)[1].split("/")[0])
    passed = [0]

    def stall_in_the_middle(forwarder, data, _):
        passed[0] += len(data)
        if passed[0] > 1_000_000 and not stalled.is_set():
            forwarder.stall()
            stalled.set()
        return data

    stalled = threading.Event()
    with Forwarder(port) as forwarder:
        forwarder.watch = stall_in_the_middle
        aggregator = start(line, AGGREGATOR_BATCH_MAX=events, AGGREGATOR_FLUSH_MS=10_000,
                           DATABASE_URL=line.postgres.url.replace(f":{port}/", f":{forwarder.port}/"))
        assert stalled.wait(30)
        line.redis.kill()
        aggregator.wait_log("peer_lost", peer="redis")
        forwarder.resume()
        line.redis.start()
        line.wait_for(lambda: line.value("SELECT sum(counted) FROM stream_positions") == events, 60,
                      "all are counted")
    assert line.value("SELECT sum(events) FROM usage_batches") == events
    line.wait_for(lambda: line.value("SELECT count(*) FROM usage_pending") == 0, 30, "all is folded")
    assert line.value("SELECT sum(quantity) FROM usage_totals") == events * 3 / 2
    assert line.audit().ok


def test_once_ends_when_the_quota_cache_tells_all_that_was_counted(line):
    line.emit([{"tenant": f"t{n}", "metric": "api_calls", "id": "1"} for n in range(30000)])
    done = line.must("aggregator", "--once")
    print(done.stderr)
    assert len(set(line.client().scan_iter("quota:*", count=5000))) == 30000


def test_a_retraction_after_a_reshard_finds_sums_that_the_old_stream_left_pending(line):
    line.emit([{"tenant": f"t{n}", "metric": "api_calls", "id": "1"} for n in range(12000)])
    crashed = start(line, AGGREGATOR_BATCH_MAX=3000, METERLINE_TEST_CRASH="after_commit")
    assert crashed.wait_exit() == -9
    assert line.value("SELECT count(*) FROM usage_pending") == 1
    line.sql("UPDATE stream_positions SET owner = NULL, lease_until = NULL")
    line.sql("UPDATE ledger_state SET value = 2 WHERE name = 'stream_shards'")
    line.sql("UPDATE ledger_state SET value = (extract(epoch FROM clock_timestamp()) * 1000)::bigint "
             "WHERE name = 'resharded_ms'")
    line.xadd(stream_of("t1", 2), tenant="t1", op="retract", id="1")
    lock = "(hashtext('meterline fold'), hashtext('usage:events'))"
    line.sql(f"SELECT pg_advisory_lock{lock}")
    try:
        start(line, METERLINE_STREAM_SHARDS=2)
        line.wait_for(lambda: waiting(line) == 3 or retracted(line), 20,
                      "all wait for what is pending, or one did not")
    finally:
        line.sql(f"SELECT pg_advisory_unlock{lock}")
    line.wait_for(lambda: retracted(line), 20, "it is taken back")
    line.wait_for(lambda: line.value("SELECT count(*) FROM usage_pending") == 0)
    assert line.value("SELECT sum(quantity) FROM usage_totals WHERE tenant = 't1'") == 0


def waiting(line):
    return line.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
                      "AND classid::bigint = (hashtext('meterline fold')::bigint & 4294967295)")


def retracted(line):
    return line.value("SELECT count(*) FROM usage_events WHERE retraction AND tenant = 't1'") > 0
