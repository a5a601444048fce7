"""An entry with an id of its own that drives the stream into the future, and the way back."""

import contextlib

import pytest

from line.line import STREAM
from support.aggregator import now_ms, start
from support.ledger_proof import Emitter, Flow, position, prove, reasons, settle
from support.lossy_servers import counted, epochs

FAR = "99999999999999-0"
GREATEST = f"{2**64 - 1}-{2**64 - 1}"
DAY_MS = 86_400_000


@pytest.mark.parametrize("id", [FAR, GREATEST])
def test_it_is_told_and_rejected_and_events_that_say_their_time_count(line, id):
    aggregator = start(line)
    line.xadd(tenant="a", metric="api_calls")
    line.xadd(entry_id=id, tenant="a", metric="api_calls")
    told = aggregator.wait_log("stream_in_future", level="error")
    assert "meterctl stream reset" in told["msg"]
    if id == FAR:
        line.xadd(tenant="a", metric="api_calls", ts=now_ms())
        line.xadd(tenant="a", metric="api_calls", ts=now_ms() + DAY_MS)
        line.xadd(tenant="a", metric="api_calls")
        wait_done(line, 5)
        assert counted(line) == 2 and reasons(line) == {"in_future": 3}
    else:
        with pytest.raises(Exception, match="exhausted the last possible ID"):
            line.xadd(tenant="a", metric="api_calls")
        wait_done(line, 2)
        assert counted(line) == 1 and reasons(line) == {"in_future": 1}
    assert not aggregator.logs("balance_broken")
    line.wait_for(lambda: aggregator.metric("meterline_unaccounted_events") == 0, 10, "it balances")
    assert line.value("SELECT max(minute_at) < now() FROM usage_aggregates")
    assert reset(line) == {"ended_epoch": "1", "waiting": "0", "moved": "0"}
    new = line.xadd(tenant="a", metric="api_calls")
    assert abs(int(new.split("-")[0]) - now_ms()) < 60_000
    aggregator.wait_log("stream_opened", epoch="2")
    settle(line)
    balance = epochs(line)
    assert balance[2]["counted"] == 1 and balance[1]["lost"] == 0
    assert line.client().xinfo_groups(STREAM)[0]["lag"] == 0
    assert "not in the future" in line.must("meterctl", "stream", "reset").stdout
    assert list(epochs(line)) == [1, 2]


def test_what_waits_is_kept_in_its_order_and_counts_once(line):
    """Nobody counts meanwhile: entries before the leap keep their ids, those after it get new ones."""
    emitter = Emitter(line)
    start(line).wait_log("stream_opened")
    emitter.add_all(emitter.usage(20))
    settle(line)
    line.stages[0].term()
    kept = [line.xadd(tenant="b", metric="api_calls", note=str(n)) for n in range(3)]
    line.xadd(entry_id=FAR, tenant="b", metric="api_calls", note="3")
    for n in range(4, 6):
        line.xadd(tenant="b", metric="api_calls", note=str(n), id=f"given {n}")
    binary = {"tenant": "b", "metric": "api_calls", "note": b"\xff\0\r\n"}
    line.xadd(**binary)
    before_ms = now_ms()
    assert reset(line) == {"ended_epoch": "1", "waiting": "7", "moved": "4"}
    with line.redis.client(decode_responses=False) as client:
        entries = client.xrange(STREAM)
    ids = [id.decode() for id, _ in entries]
    assert ids[:3] == kept and all(before_ms <= int(id.split("-")[0]) <= now_ms() for id in ids[3:])
    assert [fields[b"note"] for _, fields in entries] == [*b"0 1 2 3 4 5".split(), b"\xff\0\r\n"]
    start(line).wait_log("stream_opened", epoch="2")
    settle(line)
    balance = epochs(line)
    assert (balance[1]["added"], balance[1]["counted"]) == (20, 20)
    assert (balance[2]["added"], balance[2]["counted"], balance[2]["rejected"]) == (7, 6, 1)


def test_it_is_safe_while_aggregators_count_and_services_emit(line):
    line.settings["STREAM_KEEP_S"] = 3600
    aggregators = [start(line), start(line)]
    with Flow(line) as flow:
        for leap in (now_ms() + 2 * DAY_MS, now_ms() + 3 * DAY_MS, 99999999999999):
            flow.wait_added(150)
            line.xadd(entry_id=f"{leap}-7", tenant="a", metric="api_calls")
            flow.wait_added(150)
            assert reset(line)["ended_epoch"]
        flow.wait_added(50)
    wait_done(line, None)
    assert [each["lost"] for each in epochs(line).values()] == [0, 0, 0, 0]
    assert reasons(line) == {"in_future": 3}
    outcomes = line.sql("SELECT count(*) AS events, count(DISTINCT (tenant, event_id)) AS ids"
                        "  FROM usage_events")[0]
    assert outcomes.events == outcomes.ids == flow.added
    prove(line, flow.oracle, entries=False)
    for aggregator in aggregators:
        assert aggregator.running and not aggregator.logs("ledger_behind_stream")


def test_an_id_that_is_given_again_after_a_reset_is_another_event(line):
    """Half a day into the future: those entries count, and that time comes once more."""
    start(line)
    ahead = [f"{now_ms() + DAY_MS // 2}-{n}" for n in range(5)]
    for id in ahead:
        line.xadd(entry_id=id, tenant="a", metric="api_calls")
    settle(line)
    assert counted(line) == 5
    reset(line)
    for id in ahead:  # As the clock will do then.
        line.xadd(entry_id=id, tenant="a", metric="api_calls")
    settle(line)
    assert counted(line) == 10 and epochs(line)[2]["duplicates"] == 0


def test_a_reset_that_was_cut_short_is_finished_by_the_next_aggregator(line):
    start(line)
    line.xadd(tenant="a", metric="api_calls")
    settle(line)
    line.stages[0].term()
    line.xadd(tenant="a", metric="api_calls")
    line.xadd(entry_id=FAR, tenant="a", metric="api_calls")
    line.sql("ALTER FUNCTION open_epoch RENAME TO open_epoch_away")
    failed = line.meterctl("stream", "reset")
    assert failed.returncode == 1 and "the next aggregator does that" in failed.stderr
    line.sql("ALTER FUNCTION open_epoch_away RENAME TO open_epoch")
    again = start(line)
    assert again.wait_log("epoch_opened")["reason"] == "reset"
    settle(line)
    assert {n: each["counted"] for n, each in epochs(line).items()} == {1: 1, 2: 2}


def test_a_reset_cut_short_and_said_again(line):
    start(line)
    line.xadd(tenant="a", metric="api_calls")
    settle(line)
    line.stages[0].term()
    line.xadd(entry_id=FAR, tenant="a", metric="api_calls")
    line.sql("ALTER FUNCTION open_epoch RENAME TO open_epoch_away")
    assert line.meterctl("stream", "reset").returncode == 1
    line.sql("ALTER FUNCTION open_epoch_away RENAME TO open_epoch")
    line.xadd(entry_id="99999999999998-0", tenant="a", metric="api_calls")
    said = line.must("meterctl", "stream", "reset").stdout.splitlines()
    assert [each.split()[2:] for each in said] == [["waiting=2", "moved=0"], ["waiting=2", "moved=1"]]
    start(line)
    settle(line)
    assert {n: (each["counted"], each["rejected"]) for n, each in epochs(line).items()} == {
        1: (1, 0), 2: (2, 0)}


@pytest.mark.own_servers
def test_a_stream_that_lost_data_is_looked_at_first(line):
    start(line)
    for _ in range(5):
        line.xadd(tenant="a", metric="api_calls")
    settle(line)
    line.stages[0].term()
    line.redis.restart_empty()
    line._disconnect()
    line.xadd(entry_id=FAR, tenant="a", metric="api_calls")
    refused = line.meterctl("stream", "reset")
    assert refused.returncode == 1 and "let an aggregator look at it first" in refused.stderr
    assert line.client().xlen(STREAM) == 1
    start(line).wait_log("epoch_opened")
    settle(line)
    reset(line)
    line.xadd(tenant="a", metric="api_calls")
    settle(line)
    assert counted(line) == 6 and list(epochs(line)) == [1, 2, 3]


def test_a_reset_that_comes_too_late_does_nothing(line):
    """Held up for longer than it may take, it might meet an aggregator that has the stream again."""
    aggregator = start(line)
    line.xadd(tenant="a", metric="api_calls", entry_id=FAR)
    settle(line)
    aggregator.term()
    with contextlib.closing(line.postgres.connect()) as locked:
        locked.autocommit = False
        locked.cursor().execute("SELECT FROM stream_positions FOR UPDATE")
        tool = line.start("meterctl", args=["stream", "reset"])
        line.wait_for(lambda: line.value("SELECT count(*) FROM pg_stat_activity"
                                         " WHERE wait_event_type = 'Lock'"), 10, "it is held up")
        deadline = line.client().time()[0] + 16
        line.wait_for(lambda: line.client().time()[0] > deadline, 30, "it is late")
    line.wait_for(lambda: not tool.running, 20, "it has ended")
    assert tool.returncode == 1 and "took too long" in tool.log_tail()
    start(line).wait_log("stream_opened", epoch="1")
    reset(line)
    assert line.client().xinfo_stream(STREAM)["last-generated-id"] == "0-0"


def reset(line):
    """What it says of the stream."""
    words = line.must("meterctl", "stream", "reset").stdout.split()
    said = dict(word.split("=", 1) for word in words)
    assert said.pop("stream") == STREAM
    return said


def wait_done(line, outcomes):
    """So many entries have an outcome; None: all that there are."""
    def is_done():
        at = position(line)
        if outcomes is None:
            return at.last_id == line.client().xinfo_stream(STREAM)["last-generated-id"]
        return at.counted + at.duplicates + at.rejected + at.conflicts == outcomes
    line.wait_for(is_done, 40, "all of it has an outcome")
