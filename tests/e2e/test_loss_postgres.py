"""PostgreSQL comes back from a base backup that is some thousand events and several commits old."""

import pytest

from line.line import STREAM
from support.aggregator import start
from support.forwarder import Forwarder
from support.ledger_proof import Emitter, Flow, position, prove, settle
from support.lossy_servers import (
    accept, base_backup, counted, epochs, held, promote, replicate, restore, wait_replicated)

pytestmark = pytest.mark.own_servers

MANY = 4000


def test_what_the_stream_keeps_is_counted_again_by_the_restored_ledger(line):
    """Nothing is lost. Sinks still hold: what they sent since the backup is forgotten too, so that
    only a person who looks at Stripe can say that they may go on."""
    line.settings["STREAM_KEEP_S"] = 3600
    aggregator = start(line)
    backup, before = back_up_under_way(line)
    emit(line, MANY, "after")
    wait_counted(line, before + MANY)
    assert position(line).batches >= 3
    restore(line, backup)
    told = aggregator.wait_log("ledger_behind_stream", level="error", timeout=30)
    assert told["lost"] == "0"
    emit(line, 100, "at last")
    wait_counted(line, before + MANY + 100)
    assert_counted_once(line, lost=0)
    assert position(line).duplicates == 0
    line.wait_for(lambda: aggregator.metric("meterline_unaccounted_events") == 0, 10, "it balances")
    aggregator.kill9()
    start(line).wait_log("stream_opened")
    assert held(line)
    assert "lost" not in accept(line)


def test_what_the_stream_no_longer_has_is_lost_and_said_so(line):
    aggregator = start(line)
    backup, before = back_up_under_way(line)
    emit(line, MANY, "after")
    wait_counted(line, before + MANY)
    restore(line, backup)
    lost = int(aggregator.wait_log("ledger_behind_stream", level="error", timeout=30)["lost"])
    assert MANY <= lost <= before
    emit(line, 100, "at last")
    wait_counted(line, before + MANY + 100 - lost)
    assert_counted_once(line, lost)
    assert held(line)
    assert f"stream={STREAM} epoch=1 lost={lost}" in accept(line)
    aggregator.kill9()
    aggregator = start(line)
    aggregator.wait_log("stream_opened")
    assert not aggregator.logs("ledger_behind_stream") and not held(line)
    emit(line, MANY, "after")  # Their services send them again: they are new to the ledger.
    wait_counted(line, before + 2 * MANY + 100 - lost)
    assert position(line).lost == lost


def test_half_of_the_gap_is_kept(line):
    aggregator = start(line, STREAM_KEEP_S=3600)
    backup, before = back_up_under_way(line)
    emit(line, MANY, "after")
    wait_counted(line, before + MANY)
    ids = [id for id, _ in line.client().xrange(STREAM)]
    line.client().xtrim(STREAM, minid=ids[-1000], approximate=False)  # As if their time were up.
    restore(line, backup)
    lost = int(aggregator.wait_log("ledger_behind_stream", level="error", timeout=30)["lost"])
    wait_counted(line, before + MANY - lost)
    assert MANY - 1000 <= lost <= before - 1000
    assert_counted_once(line, lost)
    assert held(line)


@pytest.mark.parametrize("how", ["while it counts", "while nobody counts"])
def test_both_at_once_redis_was_made_anew_and_then_postgres_restored_to_before(line, how):
    """The old epoch's commits after the backup are gone, and those of an epoch that PostgreSQL has
    never heard of. The stream's mark tells of both."""
    before, gone, after = (Emitter(line) for _ in range(3))
    aggregator = start(line)
    before.add_all(before.usage(60))
    settle(line)
    backup = base_backup(line)
    gone.add_all(gone.usage(40, seed=2))
    settle(line)
    line.redis.restart_empty()
    aggregator.wait_log("epoch_opened")
    gone.add_all(gone.usage(300, seed=3))
    settle(line)
    assert position(line).epoch == 2
    if how == "while nobody counts":
        aggregator.term()
        after.add_all(after.usage(25, seed=4))
    restore(line, backup)
    if how == "while nobody counts":
        aggregator = start(line)
    told = aggregator.wait_log("ledger_behind_stream", level="error", timeout=30)
    assert (told["lost"], told["ended_lost"]) == ("300", "40")
    after.add_all(after.usage(30, seed=5))
    after.add_all(before.usage(10))  # Repeats of what the backup has.
    settle(line)
    ended, now = epochs(line).values()
    assert (ended["added"], ended["counted"], ended["lost"]) == (100, 60, 40)
    assert now["lost"] == 300 and now["duplicates"] == 10
    assert now["counted"] == (55 if how == "while nobody counts" else 30)
    assert held(line)
    told = accept(line)
    assert "epoch=1 lost=40" in told and "epoch=2 lost=300" in told
    aggregator.kill9()
    aggregator = start(line)
    aggregator.wait_log("stream_opened", epoch="2")
    assert not aggregator.logs("ledger_behind_stream") and not held(line)


@pytest.mark.parametrize("keep_s", [0, 3600])
def test_postgres_restored_to_before_a_failover(line, keep_s):
    """What is kept is counted again, also what lies before the epoch that PostgreSQL forgot."""
    line.settings["STREAM_KEEP_S"] = keep_s
    master = line.redis
    with Forwarder(master.port) as near, Forwarder(master.port) as link:
        replica = replicate(line, link)
        aggregator = start(line, REDIS_URL=near.url)
        emit(line, 60, "before")
        wait_counted(line, 60)
        backup = base_backup(line)
        emit(line, 40, "on both")
        wait_counted(line, 100)
        wait_replicated(line, replica)
        link.cut()
        emit(line, 20, "on the master only")
        wait_counted(line, 120)
        promote(line, replica, near)
        aggregator.wait_log("epoch_opened", level="error")
        emit(line, 30, "after")
        wait_counted(line, 150)
        restore(line, backup)
        aggregator.wait_log("ledger_behind_stream", level="error", timeout=30)
        emit(line, 5, "at last")
        # With what is kept: those on both, those after, and the last ones.
        wait_counted(line, 60 + (75 if keep_s else 5))
        lost = sum(each["lost"] for each in epochs(line).values())
        assert lost == (20 if keep_s else 90)
        assert held(line)
        aggregator.close()
    master.close()


def test_postgres_restored_and_redis_empty_too(line):
    """Nobody is left who knows what was between: all that is there is counted, nothing is made up."""
    emitter = Emitter(line)
    aggregator = start(line)
    emitter.add_all(emitter.usage(60))
    settle(line)
    backup = base_backup(line)
    line.emit(Emitter(line).usage(40, seed=2))
    settle(line)
    aggregator.term()
    line.redis.restart_empty()
    restore(line, backup)
    emitter.add_all(emitter.usage(20, seed=3))
    aggregator = start(line)
    aggregator.wait_log("epoch_opened", level="error")
    emitter.add_all(emitter.usage(40, seed=2))
    emitter.add_all(emitter.usage(60))
    settle(line)
    prove(line, emitter.oracle)
    ended, now = epochs(line).values()
    assert (ended["counted"], now["counted"], now["duplicates"]) == (60, 60, 60)


def back_up_under_way(line):
    """MANY are counted, a backup is taken while more flow: it, and how many are counted in all."""
    emit(line, MANY, "before")
    wait_counted(line, MANY)
    with Flow(line, repeats=0) as flow:
        flow.wait_added(20)
        backup = base_backup(line)
    wait_counted(line, MANY + flow.added)
    return backup, MANY + flow.added


def emit(line, count, note):
    line.emit([{"tenant": f"t{n % 3}", "metric": "api_calls", "id": f"{note} {n}"}
               for n in range(count)])


def wait_counted(line, count):
    line.wait_for(lambda: counted(line) == count, 60, f"{count} are counted")


def assert_counted_once(line, lost):
    """No entry's event is twice in the ledger, and the balance says what is lost."""
    (balance,) = epochs(line).values()
    assert (balance["lost"], balance["waiting"], balance["conflicts"]) == (lost, 0, 0)
    assert balance["added"] == balance["counted"] + lost
    ids = line.sql("SELECT count(*) AS events, count(DISTINCT (tenant, event_id)) AS ids"
                   "  FROM usage_events")[0]
    assert ids.events == ids.ids == counted(line)
