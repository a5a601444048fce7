"""Servers that lose data or get it back: noticed, told, booked, and what is there counts once."""

import shutil
import subprocess

import pytest

from line.line import STREAM
from support.aggregator import start
from support.forwarder import Forwarder
from support.ledger_proof import Emitter, assert_balanced, position, prove, settle

pytestmark = pytest.mark.own_servers

LOST = ("lost", "sink_hold")


def held(line):
    return line.value("SELECT value FROM ledger_state WHERE name = 'sink_hold'") > 0


def used(line, tenant="t0"):
    return line.client().hget(f"quota:{{{tenant}}}", "api_calls.used")


def test_redis_restarted_from_its_file_is_the_same_stream(line):
    line.redis.conf["appendfsync"] = "always"
    line.redis.restart()
    emitter = Emitter(line)
    aggregator = start(line)
    emitter.add_all(emitter.usage(100, repeats=0.1))
    settle(line)
    aggregator.pause()
    emitter.add_all(emitter.usage(50, seed=2))
    line.redis.kill()
    line.redis.start()
    aggregator.resume()
    emitter.add_all(emitter.usage(50, seed=2))
    settle(line)
    line.redis.restart()
    emitter.add_all(emitter.usage(10, seed=3))
    settle(line)
    assert position(line).epoch == 1
    assert not aggregator.logs("epoch_opened")
    prove(line, emitter.oracle)


@pytest.mark.parametrize("how", ["empty", "empty while stopped", "flushed", "flushed and silent"])
def test_redis_that_lost_all_begins_a_new_epoch(line, how):
    emitter = Emitter(line)
    aggregator = start(line)
    emitter.add_all(emitter.usage(60))
    settle(line)
    if how.startswith("flushed"):
        line.client().flushall()
    elif how == "empty":
        line.redis.restart_empty()
    else:
        aggregator.term()
        line.redis.restart_empty()
        aggregator = start(line)
    if how == "flushed and silent":
        aggregator.wait_log("epoch_opened")
    emitter.add_all(emitter.usage(30))  # Sent again by a service that is not sure.
    emitter.add_all(emitter.usage(20, seed=2))
    aggregator.wait_log("epoch_opened", level="error")
    emitter.add_all(emitter.usage(20, seed=3))
    settle(line)
    assert position(line).epoch == 2 and not held(line)
    assert emitter.oracle.outcomes()["duplicates"] == 30
    prove(line, emitter.oracle)
    assert [stream["epoch"] for stream in line.audit().streams] == [1, 2]
    line.wait_for(lambda: int(used(line)) == emitter.oracle.total("t0", "api_calls"), 5,
                  "usage is in the cache")


def test_a_promoted_replica_that_lacks_the_last_entries(line):
    replica = line.redis.replica(line.folder / "replica")
    master = line.redis
    emitter = Emitter(line)
    with Forwarder(master.port) as forwarder:
        aggregator = start(line, REDIS_URL=forwarder.url)
        emitter.add_all(emitter.usage(30))
        settle(line)
        aggregator.pause()
        emitter.add_all([*emitter.usage(20, seed=2),
                         *({"tenant": "t1", "metric": "api_calls"} for _ in range(20))])
        last = line.client().xinfo_stream(STREAM)["last-generated-id"]
        with replica.client() as client:
            line.wait_for(lambda: client.xinfo_stream(STREAM)["last-generated-id"] == last, 10,
                          "the replica has these")
            client.replicaof("NO", "ONE")
        aggregator.resume()
        emitter.add_all(emitter.usage(25, seed=3))  # These are never on the replica.
        settle(line)
        line.redis = replica
        line._disconnect()
        forwarder.cut(replica.port)
        aggregator.wait_log("epoch_opened", level="error")
        emitter.add_all(emitter.usage(10, seed=4))
        settle(line)
        assert position(line).epoch == 2
        prove(line, emitter.oracle, entries=False)
        assert position(line).duplicates == 40
        aggregator.term()
    master.close()


def test_a_replica_is_not_written_to_and_is_taken_once_it_is_promoted(line):
    replica = line.redis.replica(line.folder / "replica")
    master = line.redis
    emitter = Emitter(line)
    with Forwarder(master.port) as forwarder:
        aggregator = start(line, REDIS_URL=forwarder.url)
        emitter.add_all(emitter.usage(30))
        settle(line)
        offset = master.client().info("replication")["master_repl_offset"]
        with replica.client() as client:
            line.wait_for(lambda: client.info("replication")["slave_repl_offset"] >= offset, 10,
                          "the replica has all")
            mark = aggregator.mark()
            forwarder.cut(replica.port)
            line.wait_for(lambda: "is a replica" in aggregator.get("/readyz")[1], 20, "it is told")
            assert not aggregator.logs("stream_step_failed", since=mark)
            client.replicaof("NO", "ONE")
        line.redis = replica
        line._disconnect()
        emitter.add_all(emitter.usage(10, seed=2))
        settle(line)
        assert position(line).epoch == 1
        prove(line, emitter.oracle)
        aggregator.term()
    master.close()


def test_postgres_restored_behind_the_stream_books_the_gap_and_holds_the_sinks(line):
    aggregator = start(line)
    kept, gone = Emitter(line), Emitter(line)
    kept.add_all(kept.usage(60))
    settle(line)
    backup = back_up(line)
    aggregator.wait_ready()
    gone.add_all(gone.usage(40, seed=2))
    settle(line)
    line.wait_for(lambda: int(used(line)) == kept.oracle.total("t0", "api_calls")
                  + gone.oracle.total("t0", "api_calls"), 5, "usage is in the cache")
    restore(line, backup)
    assert aggregator.wait_log("ledger_behind_stream", level="error")["lost"] == "40"
    assert held(line)
    kept.add_all(kept.usage(20, seed=3))
    kept.add_all(kept.usage(20))
    settle(line)
    assert position(line).lost == 40 and position(line).epoch == 1
    prove(line, kept.oracle, attention=LOST)
    line.wait_for(lambda: int(used(line)) == kept.oracle.total("t0", "api_calls"), 5,
                  "the cache follows the ledger, though it has seen newer totals")
    aggregator.term()
    start(line).wait_log("stream_opened")
    assert position(line).lost == 40
    assert_balanced(line, LOST)


def test_entries_that_were_kept_are_counted_again_by_a_restored_ledger(line):
    line.settings["STREAM_KEEP_S"] = 3600
    emitter = Emitter(line)
    aggregator = start(line)
    emitter.add_all(emitter.usage(30))
    wait_counted(line, 30)
    backup = back_up(line)
    emitter.add_all(emitter.usage(30, seed=2))
    wait_counted(line, 60)
    restore(line, backup)
    aggregator.wait_log("ledger_behind_stream")
    emitter.add_all(emitter.usage(10, seed=3))
    wait_counted(line, 70)
    assert position(line).lost == 0 and held(line)
    assert line.client().xlen(STREAM) == 70
    prove(line, emitter.oracle, attention=LOST)


def test_postgres_emptied_under_the_aggregator(line):
    """A database made anew is another ledger: it takes the stream only when a person says so."""
    aggregator = start(line)
    emitter = Emitter(line)
    emitter.add_all(emitter.usage(30))
    settle(line)
    line.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    line.migrate()
    line.catalog()
    aggregator.wait_log("stream_refused", timeout=30)
    after = Emitter(line)
    after.add_all(after.usage(25, seed=2))
    line.must("meterctl", "stream", "adopt", "--yes")
    settle(line)
    assert position(line).lost == 0 and position(line).base == 30 and held(line)
    prove(line, after.oracle, attention=LOST)


def test_a_stream_that_was_trimmed_before_anyone_counted_begins_with_what_is_there(line):
    for n in range(10):
        line.xadd(tenant="a", metric="api_calls", id=str(n))
    line.client().xtrim(STREAM, maxlen=4, approximate=False)
    aggregator = start(line)
    assert aggregator.wait_log("stream_joined_late")["trimmed_before"] == "6"
    settle(line)
    assert position(line).counted == 4
    assert_balanced(line)


def wait_counted(line, count):
    line.wait_for(lambda: position(line) and position(line).counted == count, 30,
                  f"{count} are counted")


def back_up(line):
    """A copy of PostgreSQL's data, taken while it is stopped."""
    backup = line.postgres.data.with_name("backup")
    line.postgres.stop()
    subprocess.run(["cp", "-a", line.postgres.data, backup], check=True)
    start_postgres(line)
    return backup


def restore(line, backup):
    line.postgres.stop()
    shutil.rmtree(line.postgres.data)
    backup.rename(line.postgres.data)
    start_postgres(line)


def start_postgres(line):
    line.postgres.start()
    line.wait_for(lambda: line.value("SELECT true"), 10, "our own connection is back")
