"""Several streams and several aggregators: evenly spread, taken over, handed over, never counted twice."""

import time

import pytest

from support.aggregator import start
from support.shard_flow import ShardFlow, owners, prove_all, settle_all
from support.shards import SHARDS, reshard, use_shards, wait_spread
from support.stalling_forwarder import StallingForwarder


def test_streams_are_spread_evenly_over_those_that_run(line):
    use_shards(line)
    with ShardFlow(line, SHARDS) as flow:
        stages = [start(line)]
        wait_spread(line, [4])
        stages.append(start(line))
        print(f"the second has its share after {wait_spread(line, [2, 2]):.1f} s")
        stages.append(start(line))
        print(f"the third has its share after {wait_spread(line, [2, 1, 1]):.1f} s")
        # It stays like that: no stream changes hands while nobody comes or goes.
        stages[2].wait_log("stream_opened")
        marks = [stage.mark() for stage in stages]
        flow.wait_added(500)
        assert not [stage for stage, mark in zip(stages, marks)
                    if stage.logs("stream_opened", mark) or stage.logs("lease_lost", mark)]
        stages[0].term()
        print(f"the others have its streams after {wait_spread(line, [2, 2]):.1f} s")
        assert stages[0].wait_exit() == 0
        # Nothing is counted that is in flight while a stream changes hands, nor twice.
        flow.wait_added(200)
    prove_all(line, flow)
    for stage in stages:
        assert not stage.logs(level="error")
    assert line.value("SELECT count(*) FROM aggregator_members") == 2


def test_the_streams_of_a_dead_one_are_taken_over_within_5_s(line):
    use_shards(line)
    first, second = start(line), start(line)
    with ShardFlow(line, SHARDS) as flow:
        wait_spread(line, [2, 2])
        flow.wait_added(200)
        first.kill9()
        took = wait_spread(line, [4])
        assert owners(line, SHARDS) == {second.pid: 4}
        print(f"all streams are taken over after {took:.1f} s")
        flow.wait_added(200)
    prove_all(line, flow)
    assert took < 10  # 5 s promised; the machine of a test may be slow.


def test_a_paused_one_loses_its_streams_and_writes_nothing(line):
    use_shards(line)
    stages = [start(line, AGGREGATOR_FLUSH_MS=2), start(line, AGGREGATOR_FLUSH_MS=2)]
    with ShardFlow(line, SHARDS, rest_s=0) as flow:
        wait_spread(line, [2, 2])
        for _ in range(3):
            paused, other = stages
            flow.wait_added(100)
            paused.pause()
            line.wait_for(lambda: owners(line, SHARDS) == {other.pid: 4}, 20, "it is taken over")
            mark = paused.mark()
            flow.wait_added(100)
            paused.resume()
            line.wait_for(lambda: paused.logs("batch_fenced", mark)
                          or paused.logs("lease_lost", mark), 20, "it notices")
            wait_spread(line, [2, 2])
            stages.reverse()
    prove_all(line, flow)
    for stage in stages:
        assert not stage.logs(level="error")


def test_once_drains_every_stream(line):
    use_shards(line)
    with ShardFlow(line, SHARDS, rest_s=0) as flow:
        flow.wait_added(2000)
    done = line.must("aggregator", "--once")
    assert done.stderr.count("event=stream_caught_up") == SHARDS
    prove_all(line, flow)
    assert line.value("SELECT count(*) FROM stream_positions WHERE counted > 0") == SHARDS


def test_each_stream_has_its_gauges_where_it_is_counted(line):
    use_shards(line)
    first = start(line)
    with ShardFlow(line, SHARDS) as flow:
        wait_spread(line, [4])
        flow.wait_added(300)
    prove_all(line, flow)
    names = ("meterline_unaccounted_events", "meterline_stream_lag_events",
             "meterline_dedupe_window_seconds")
    for number in range(SHARDS):
        for name in names:
            assert first.metrics().find(name, stream=f"usage:events:{{{number}}}"), name
    start(line)
    wait_spread(line, [2, 2])
    # A stream that another one counts now is that one's to tell of.
    line.wait_for(lambda: all(len(first.metrics().find(name)) == 2 for name in names), 10,
                  "gauges of streams that were handed over are gone")
    # The bound is of all tables together.
    assert first.metric("meterline_dedupe_bytes") <= 512 << 20


def restart_all(line, stages):
    """Those with the old setting end by themselves, as their supervisor sees it; new ones begin."""
    for stage in stages:
        assert stage.wait_exit(30) == 2
        stage.wait_log("setting_refused")
    return [start(line), start(line)]


def follow(line, stages, before, shards):
    """Those without the setting go by the new number, and share its streams, in a few seconds."""
    for stage in stages:
        stage.wait_log("shard_count_followed", before=before, shards=shards)
    wait_spread(line, sorted((shards - shards // 2, shards // 2), reverse=True), shards=shards)
    return stages


@pytest.mark.parametrize("is_set", [True, False])
def test_from_1_to_4_to_2_streams_while_services_never_stop(line, is_set):
    line.settings["METERLINE_STREAM_SHARDS"] = "1" if is_set else None
    stages = [start(line), start(line)]
    with ShardFlow(line, 1) as flow:
        for before, shards in ((1, 4), (4, 2)):
            flow.wait_added(300)
            reshard(line, shards, is_set)
            # Services still write by the old number …
            flow.wait_added(100)
            stages = restart_all(line, stages) if is_set else follow(line, stages, before, shards)
            flow.wait_added(200)
            # … and so do they, for a while, when aggregators count by the new one.
            flow.shards = shards
            flow.wait_added(300)
            # What came before comes again, to wherever its tenant has gone.
            assert flow.repeat_all() > 500
            assert line.value("SELECT count(*) FROM rejected_events WHERE reason = 'wrong_shard'") > 0
            flow.wait_added(100)
    prove_all(line, flow)
    for stage in stages:
        assert not stage.logs(level="error")
    # The streams that nobody writes to any more are gone, and their balances are kept.
    line.wait_for(lambda: sorted(line.client().scan_iter("usage:events*")) ==
                  ["usage:events:{0}", "usage:events:{1}"], 60, "old streams are deleted")
    audit = line.audit()
    assert audit.ok and {each["stream"] for each in audit.streams} >= {
        "usage:events", "usage:events:{0}", "usage:events:{3}"}, audit.text
    counted = sum(each["counted"] for each in audit.streams)
    assert counted == flow.added, audit.text
    # One that is late all the same, to a stream that is gone, is counted where it belongs.
    line.xadd(tenant="late", metric="api_calls", quantity=5)
    line.wait_for(lambda: line.value("SELECT count(*) FROM usage_totals WHERE tenant = 'late'") == 1,
                  30, "it is counted")
    settle_all(line)
    assert line.audit().ok


def test_of_those_that_follow_none_reads_a_number_that_was_never_told(line):
    """From 4 to 1 and back, with nobody stopped; once, and tools, go by the number found as well."""
    use_shards(line)
    line.settings["METERLINE_STREAM_SHARDS"] = None
    with ShardFlow(line, SHARDS) as flow:
        flow.wait_added(200)
    done = line.must("aggregator", "--once")
    assert done.stderr.count("event=stream_caught_up") == SHARDS
    for _ in range(3):
        stages = [start(line), start(line)]
        with ShardFlow(line, SHARDS, seed=5) as more:
            wait_spread(line, [2, 2])
            reshard(line, 1, is_set=False)
            more.wait_added(50)
            reshard(line, SHARDS, is_set=False)
            wait_spread(line, [2, 2], 40)
            for stage in stages:
                assert stage.running and not stage.logs("setting_refused")
            more.wait_added(50)
        settle_all(line)
        for stage in stages:
            stage.term()
    line.must("aggregator", "--once")
    assert line.audit().ok
    streams = {each["stream"] for each in line.audit().streams}
    assert streams >= {f"usage:events:{{{n}}}" for n in range(SHARDS)}
    line.must("meterctl", "stream", "reset")


def test_once_counts_what_is_in_the_wrong_streams(line):
    with ShardFlow(line, 1) as flow:
        flow.wait_added(300)
        reshard(line, 4)  # Nobody counts: what waits is in the old stream.
        flow.wait_added(300)
        flow.shards = 4
        flow.wait_added(300)
    line.xadd(tenant="no_id", metric="api_calls", quantity=2)
    line.must("aggregator", "--once")
    assert line.value("SELECT count(*) FROM rejected_events WHERE replayed_at IS NULL") == 0
    assert line.value("SELECT quantity FROM usage_totals WHERE tenant = 'no_id'") == 2
    assert line.value("SELECT count(*) FROM usage_events") == flow.added + 1
    assert line.audit().ok
    assert not line.client().exists("usage:events")


def test_one_that_freezes_while_it_sends_a_batch_holds_nobody_up(line):
    # Of the last statements, which fold, move the position and commit, nothing is sent yet: 4
    # messages each, and the Sync. All rows of the batch are.
    use_shards(line, 1)
    port = int(line.postgres.url.rsplit(":", 1)[1].split("/")[0])
    with StallingForwarder(port) as forwarder:
        frozen = start(line, AGGREGATOR_FLUSH_MS=500,
                       DATABASE_URL=forwarder.database_url(line.postgres.url))
        frozen.wait_log("stream_opened")
        other = start(line)
        with ShardFlow(line, 1, tenants=500, rest_s=0) as flow:
            frozen.wait_log("batch_committed")
            forwarder.arm(least_bytes=10_000, held_back=13)
            assert forwarder.stalled.wait(60)
            frozen.pause()
            began = time.monotonic()
            holds = "SELECT count(*) FROM pg_stat_activity a JOIN pg_locks l USING (pid)" \
                    " JOIN pg_class c ON c.oid = l.relation AND c.relname LIKE 'usage_batches%%'" \
                    " WHERE a.wait_event = 'ClientRead' AND l.mode = 'RowExclusiveLock'"
            line.wait_for(lambda: line.value(holds) > 0, 10, "it is in the middle of a transaction")
            line.wait_for(lambda: owners(line, 1) == {other.pid: 1}, 20, "the stream is taken over")
            other.wait_log("batch_committed", timeout=30)
            print(f"another one goes on after {time.monotonic() - began:.1f} s")
            assert line.value(holds) > 0  # It still is.
            flow.wait_added(500)
        settle_all(line)
        mark = frozen.mark()
        frozen.resume()
        forwarder.release()
        line.wait_for(lambda: frozen.logs("batch_fenced", mark) or frozen.logs("lease_lost", mark),
                      20, "it notices")
        line.wait_for(lambda: line.value(holds) == 0, 20, "its transaction ends")
    prove_all(line, flow)
    assert not other.logs(level="error")


@pytest.mark.long
@pytest.mark.parametrize("first", [True, False], ids=["used", "never used"])
def test_what_comes_late_to_a_stream_that_was_retired_is_counted_each_time(line, first):
    """It begins anew with nothing read, long after the last entry that it knows of."""
    aggregator = start(line, METERLINE_STREAM_SHARDS=None, AGGREGATOR_FLUSH_MS=2500)  # Entries wait that long for others.
    aggregator.wait_log("stream_opened")
    if first:
        line.xadd(tenant="t0", metric="api_calls", id="first")
        aggregator.wait_log("batch_committed")
    line.must("meterctl", "reshard", "2")
    aggregator.wait_log("stream_retired", timeout=60, stream="usage:events")
    for late in range(2):
        mark = aggregator.mark()
        for tenant in ("t1", "t2"):
            line.client().xadd("usage:events", {"tenant": tenant, "metric": "api_calls", "id": f"late-{late}"})
        line.wait_for(lambda: line.value("SELECT coalesce(sum(quantity), 0) FROM usage_totals")
                      == first + 2 * (late + 1), 30, "it is counted where it belongs")
        aggregator.wait_log("stream_retired", timeout=60, since=mark, stream="usage:events")
    assert not line.client().exists("usage:events")
    assert len(aggregator.logs("stream_opened")) < 20
    assert line.audit().ok, line.audit().text
