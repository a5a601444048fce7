"""Several aggregators: one counts, the others wait, and none writes what is not its own."""

import contextlib
import signal

import pytest

from line.process import send
from support.aggregator import start
from support.forwarder import Forwarder
from support.ledger_proof import Emitter, Flow, assert_balanced, position, prove, settle


def pid_of_owner(line):
    at = position(line)
    return int(at.owner.split("-")[0]) if at and at.owner else None


def two(line, **settings):
    """(owner, waiting)"""
    first = start(line, **settings)
    first.wait_log("stream_opened")
    second = start(line, **settings)
    second.wait_log("lease_waited")
    assert pid_of_owner(line) == first.pid
    return first, second


def test_the_second_waits_and_takes_over_within_5_s_of_a_death(line):
    first, second = two(line)
    assert second.wait_ready()
    with Flow(line) as flow:
        first.wait_log("batch_committed")
        first.kill9()
        second.wait_log("batch_committed", timeout=5)
    settle(line)
    prove(line, flow.oracle, entries=False)


def test_sigterm_hands_over_at_once(line):
    first, second = two(line)
    with Flow(line) as flow:
        first.wait_log("batch_committed")
        first.term()
        second.wait_log("stream_opened", timeout=2)
        second.wait_log("batch_committed", timeout=2)
    settle(line)
    prove(line, flow.oracle, entries=False)


@pytest.mark.parametrize("rounds", [4])
def test_one_that_sleeps_past_its_lease_writes_nothing_wrong(line, rounds):
    stages = list(two(line, AGGREGATOR_FLUSH_MS=2))
    with Flow(line, rest_s=0) as flow:
        for _ in range(rounds):
            owner, waiting = stages
            mark, at = waiting.mark(), owner.mark()
            owner.wait_log("batch_committed", since=at)
            owner.pause()
            waiting.wait_log("batch_committed", timeout=8, since=mark)
            at = owner.mark()
            owner.resume()
            line.wait_for(lambda: owner.logs("batch_fenced", at) or owner.logs("lease_lost", at),
                          10, "it notices that the stream is not its own")
            mark = waiting.mark()
            waiting.wait_log("batch_committed", since=mark)
            stages.reverse()
    settle(line)
    for stage in stages:
        assert not stage.logs(level="error")
        assert not stage.logs("epoch_opened") and not stage.logs("ledger_behind_stream")
        stage.term()
    prove(line, flow.oracle, entries=False)
    assert line.value("SELECT value FROM ledger_state WHERE name = 'sink_hold'") == 0


def test_one_that_sleeps_just_after_it_got_the_lease_does_no_harm(line):
    emitter = Emitter(line)
    first, late = two(line)
    emitter.add_all(emitter.usage(10))
    settle(line)
    with contextlib.closing(line.postgres.connect()) as blocker:
        blocker.autocommit = False
        blocker.cursor().execute("SELECT FROM stream_positions FOR UPDATE")
        first.kill9()
        line.wait_for(lambda: line.value("SELECT lease_until < clock_timestamp()"
                                         " FROM stream_positions"), 10, "the lease has ended")
        line.wait_for(lambda: line.value("SELECT count(*) FROM pg_stat_activity"
                                         " WHERE wait_event_type = 'Lock'"), 5, "it asks")
        late.pause()
        blocker.commit()
    line.wait_for(lambda: pid_of_owner(line) == late.pid, 5, "it has the lease, asleep")
    third = start(line)
    emitter.add_all(emitter.usage(10, seed=2))
    settle(line)
    assert pid_of_owner(line) == third.pid
    mark = late.mark()
    late.resume()
    late.wait_log("lease_waited", since=mark)
    assert not late.logs("ledger_behind_stream") and not late.logs("epoch_opened")
    assert line.value("SELECT value FROM ledger_state WHERE name = 'sink_hold'") == 0
    third.term()
    mark = late.mark()
    emitter.add_all(emitter.usage(10, seed=3))
    late.wait_log("batch_committed", since=mark)
    settle(line)
    assert not late.logs(level="error")
    prove(line, emitter.oracle)


def test_one_that_cannot_reach_redis_lets_go_of_the_stream(line):
    with Forwarder(line.redis.port) as forwarder:
        lonely = start(line, REDIS_URL=forwarder.url)
        lonely.wait_log("stream_opened")
        other = start(line)
        other.wait_log("lease_waited")
        with Flow(line) as flow:
            lonely.wait_log("batch_committed")
            forwarder.cut()
            other.wait_log("batch_committed", timeout=8)
        settle(line)
    prove(line, flow.oracle, entries=False)


def test_a_long_wait_for_a_lock_does_not_cost_the_lease(line):
    with contextlib.closing(line.postgres.connect()) as other:
        other.autocommit = False
        other.cursor().execute("LOCK TABLE usage_totals IN ACCESS EXCLUSIVE MODE")
        # What is done once at the start waits for the lock, and so does the first batch.
        first, second = two(line)
        line.xadd(tenant="acme", metric="api_calls")
        began = line.value("SELECT clock_timestamp()")
        # The lease is renewed all the while: three times its length.
        line.wait_for(lambda: line.value(
            "SELECT lease_until > %s + interval '10 s' FROM stream_positions", began), 30,
            "the lease is kept")
    assert not second.logs("stream_opened") and not first.logs("lease_lost")
    settle(line)
    assert_balanced(line)


def test_once_gives_up_where_another_keeps_the_stream(line):
    start(line).wait_log("stream_opened")
    done = line.run("aggregator", "--once")
    assert done.returncode == 1 and "event=lease_refused" in done.stderr


def test_both_end_within_10_s_of_sigterm_with_all_paused_or_waiting(line):
    first, second = two(line)
    first.pause()
    send(first.pid, signal.SIGTERM)
    second.term()
    first.resume()
    assert first.wait_exit(10) == 0
    line.must("aggregator", "--once")
    assert_balanced(line)
