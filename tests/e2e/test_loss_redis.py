"""Redis dies, comes back with nothing, or is failed over to one that lacks the last entries: what it
still has is counted once, and what is lost is told."""

import pytest

from support.aggregator import start
from support.forwarder import Forwarder
from support.ledger_proof import Emitter, Flow, position, prove, settle
from support.lossy_servers import counted, epochs, held, promote, replicate, wait_replicated

pytestmark = pytest.mark.own_servers


def test_redis_killed_again_and_again_while_events_flow_is_the_same_stream(line):
    # With everysec, Redis answers without having written while the disk is busy.
    line.redis.conf["appendfsync"] = "always"
    line.redis.restart()
    line._disconnect()
    aggregator = start(line)
    with Flow(line) as flow:
        for _ in range(4):
            flow.wait_added(150)
            mark = aggregator.mark()
            line.redis.kill()
            aggregator.wait_log("peer_lost", since=mark, peer="redis")
            line.redis.start()
            aggregator.wait_log("stream_opened", since=mark, timeout=30)
        flow.wait_added(50)
    settle(line)
    prove(line, flow.oracle, entries=False)
    assert not aggregator.logs("epoch_opened") and not aggregator.logs("balance_broken")
    assert list(epochs(line)) == [1] and epochs(line)[1]["lost"] == 0 and not held(line)


def test_entries_that_were_seen_to_wait_are_lost_with_redis_and_count_when_sent_again(line):
    emitter = Emitter(line)
    aggregator = start(line)
    emitter.add_all(emitter.usage(60))
    settle(line)
    line.postgres.pause()
    waiting = [*emitter.usage(35, seed=2)]
    for part in (waiting[:20], waiting[20:]):  # The first may be in a COMMIT under way.
        emitter.add_all(part)
        line.wait_for(lambda: aggregator.metric("meterline_stream_lag_events") == len(part) or
                      aggregator.metric("meterline_stream_lag_events") == 35, 10, "they are seen")
    line.redis.restart_empty()
    line.postgres.resume()
    told = aggregator.wait_log("epoch_opened", level="error", timeout=60)
    line._disconnect()
    lost = epochs(line)[1]["lost"]
    assert int(told["lost"]) == lost in (15, 35)
    assert epochs(line)[1]["added"] == 95 and epochs(line)[1]["counted"] == 95 - lost
    for each in waiting:  # Their services send them again, some twice.
        line.xadd(**each)
    line.xadd(**waiting[0])
    settle(line)
    prove(line, emitter.oracle, entries=False, attention=["lost"])
    assert epochs(line)[2]["counted"] == lost and epochs(line)[2]["duplicates"] == 36 - lost


@pytest.mark.parametrize("keep_s", [0, 3600])
def test_a_replica_that_lacks_the_last_entries_is_read_on_from_where_all_is_counted(line, keep_s):
    """Entries with ids and without: those before the cut are on both, counted or not."""
    line.settings["STREAM_KEEP_S"] = keep_s
    master = line.redis
    with Forwarder(master.port) as near, Forwarder(master.port) as link:
        replica = replicate(line, link)
        aggregator = start(line, REDIS_URL=near.url)
        add(line, 40, "before")
        wait_counted(line, 40)
        wait_replicated(line, replica)
        aggregator.pause()
        add(line, 30, "on both")
        wait_replicated(line, replica)
        link.cut()
        add(line, 20, "on the master only")
        aggregator.resume()
        wait_counted(line, 90)
        promote(line, replica, near)
        told = aggregator.wait_log("epoch_opened", level="error")
        assert told["lost"] == "0"
        add(line, 50, "after")
        wait_counted(line, 140)
        ended, now = epochs(line).values()
        assert (ended["added"], ended["counted"], ended["lost"]) == (90, 90, 0)
        assert (now["added"], now["counted"], now["duplicates"]) == (80, 50, 30)
        assert not held(line)
        aggregator.kill9()
        start(line, REDIS_URL=near.url).wait_log("stream_opened", epoch="2")
        add(line, 5, "later")
        wait_counted(line, 145)
        assert epochs(line)[2]["duplicates"] == 30
        for stage in line.stages:
            stage.close()
    master.close()


def test_a_replica_whose_clock_is_behind_gives_ids_again_and_every_entry_counts(line):
    """New entries have ids below the position, and ids that the old master gave to others."""
    master = line.redis
    with Forwarder(master.port) as near, Forwarder(master.port) as link:
        replica = replicate(line, link, behind_s=3600)
        aggregator = start(line, REDIS_URL=near.url)
        add(line, 10, "before")
        wait_counted(line, 10)
        wait_replicated(line, replica)
        seconds, _ = line.client().time()
        aggregator.pause()
        for n in range(1, 9):
            line.xadd(entry_id=f"{seconds}999-{n}", tenant="a", metric="api_calls", quantity=n)
            if n == 4:
                wait_replicated(line, replica)
                link.cut()
        add(line, 10, "on the master only")
        aggregator.resume()
        wait_counted(line, 28)
        last_id = position(line).last_id
        promote(line, replica, near)
        aggregator.wait_log("epoch_opened", level="error")
        fields = {"tenant": "a", "metric": "api_calls", "quantity": 50}
        ids = [line.xadd(**fields) for _ in range(12)]
        assert ids == [f"{seconds}999-{n}" for n in range(5, 17)]
        assert number(ids[-1]) < number(last_id)
        wait_counted(line, 40)
        assert line.value("SELECT sum(quantity) FROM usage_events WHERE tenant = 'a' AND "
                          "quantity > 0 AND dimensions = '{}'") == sum(range(1, 9)) + 12 * 50
        ended, now = epochs(line).values()
        assert (ended["counted"], now["counted"], now["duplicates"], now["conflicts"]) == (28, 12, 4, 0)
        aggregator.close()
    master.close()


def test_a_stream_made_anew_by_a_slow_clock_holds_no_repeats_of_entries_without_ids(line):
    """The same ids again, with the same content: other events, since all of the old ones are gone."""
    aggregator = start(line)
    ids = [f"1{n:09}000-0" for n in range(20)]
    for id in ids:
        line.xadd(entry_id=id, tenant="a", metric="api_calls")
    wait_counted(line, 20)
    line.client().flushall()
    aggregator.wait_log("epoch_opened", level="error")
    for id in ids:
        line.xadd(entry_id=id, tenant="a", metric="api_calls")
    wait_counted(line, 40)
    assert epochs(line)[2]["counted"] == 20


def test_killed_between_the_new_epoch_and_its_mark(line):
    """PostgreSQL knows of the epoch, Redis does not yet: it is the same one, not a third."""
    aggregator = start(line)
    add(line, 10, "before")
    wait_counted(line, 10)
    aggregator.term()
    line.redis.restart_empty()
    line._disconnect()
    line.sql("UPDATE stream_positions SET owner = 'nobody', lease_until = now()")
    assert line.value("SELECT open_epoch(stream, 'nobody', epoch, last_id, 'redis lost the stream', 0,"
                      " '0-0', 0, 0, '0-0', NULL) FROM stream_positions")
    start(line)
    add(line, 7, "after")
    wait_counted(line, 17)
    assert list(epochs(line)) == [1, 2]


def add(line, count, note):
    """Every second one without an id of its own."""
    line.emit([{"tenant": f"t{n % 3}", "metric": "api_calls", "note": note,
                **({"id": f"{note} {n}"} if n % 2 else {})} for n in range(count)])


def wait_counted(line, count):
    line.wait_for(lambda: counted(line) == count, 40, f"{count} are counted")


def number(id):
    return [int(half) for half in id.split("-")]
