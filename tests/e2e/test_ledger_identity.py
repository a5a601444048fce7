"""Two ledgers at one Redis: the one that a stream does not belong to leaves it, and the quota cache, alone,
until a person has it take them over."""

import pytest

from line.line import STREAM
from support.aggregator import start
from support.ledger_proof import Emitter, assert_balanced, position, prove, settle
from support.lossy_servers import epochs, held

pytestmark = pytest.mark.own_servers


@pytest.fixture(name="other")
def other_fixture(line):
    """The URL of another migrated database beside the line's own."""
    line.sql("CREATE DATABASE other")
    url = line.postgres.url_of("postgres", "other")
    line.must("meterctl", "migrate", DATABASE_URL=url)
    line.must("meterctl", "catalog", "apply", "deploy/catalog.json", DATABASE_URL=url)
    return url


def identity(line, url=None):
    connection = line.postgres.connect(url)
    with connection.cursor() as cursor:
        cursor.execute("SELECT ledger_id::text, takeovers FROM ledger_identity")
        row = cursor.fetchone()
    connection.close()
    return row.ledger_id, row.takeovers


def snapshot(line):
    """All that Redis holds, but for what time alone changes."""
    client = line.client()
    keys = sorted(client.keys("*"))
    return {key: client.dump(key) for key in keys}, client.execute_command("FUNCTION", "LIST")


def marks(line):
    return [c["name"] for c in line.client().xinfo_consumers(STREAM, "aggregator")]


@pytest.mark.parametrize("flags", [[], ["--once"]], ids=["daemon", "once"])
def test_a_ledger_that_never_had_the_stream_refuses_it_and_writes_nothing(line, other, flags):
    aggregator = start(line)
    emitter = Emitter(line)
    emitter.add_all(emitter.usage(100))
    settle(line)
    line.wait_for(lambda: line.client().hget("quota:{t0}", "api_calls.used"), 5, "usage is cached")
    aggregator.term()
    emitter.add_all(emitter.usage(100, seed=2))
    before = snapshot(line)
    stranger = line.start("aggregator", args=flags, DATABASE_URL=other)
    told = stranger.wait_log("stream_refused", level="error")
    assert stranger.wait_exit() == 2
    assert told["ledger"] == identity(line)[0] and told["own_ledger"] == identity(line, other)[0]
    assert "meterctl stream adopt" in told["msg"]
    assert snapshot(line) == before
    assert not held(line)
    start(line)
    settle(line)
    prove(line, emitter.oracle)
    assert position(line).lost == 0


def test_both_run_and_the_stranger_comes_first_to_nothing(line, other):
    """Started while the owner counts: its events stay its own, and the cache too."""
    aggregator = start(line)
    emitter = Emitter(line)
    emitter.add_all(emitter.usage(50))
    settle(line)
    strangers = [start(line, DATABASE_URL=other) for _ in range(2)]
    emitter.add_all(emitter.usage(100, seed=2))
    assert [s.wait_exit() for s in strangers] == [2, 2]
    settle(line)
    prove(line, emitter.oracle)
    assert not aggregator.logs("epoch_opened") and not aggregator.logs("ledger_behind_stream")
    line.wait_for(lambda: int(line.client().hget("quota:{t0}", "api_calls.used"))
                  == emitter.oracle.total("t0", "api_calls"), 5, "the cache tells the owner's usage")


def test_two_ledgers_start_at_a_new_stream_and_one_gets_it(line, other):
    emitter = Emitter(line)
    emitter.add_all(emitter.usage(20))
    both = [start(line), start(line, DATABASE_URL=other)]
    line.wait_for(lambda: sum(a.running for a in both) == 1, 20, "one of them ends")
    (loser,) = [a for a in both if not a.running]
    assert loser.returncode == 2 and loser.logs("stream_refused")
    line.wait_for(lambda: line.client().xlen(STREAM) == 0, 20, "the other counts")
    assert len(marks(line)) == 1


def test_adopted_streams_go_on_from_the_position_and_the_cache_is_the_new_ledgers(line, other):
    aggregator = start(line)
    old = Emitter(line)
    old.add_all(old.usage(60, tenants=4))
    settle(line)
    line.wait_for(lambda: line.client().hget("quota:{t3}", "api_calls.used"), 5, "usage is cached")
    # A higher version than the other ledger will ever have.
    line.client().hset("quota:{t0}", "api_calls.version", 10 ** 15)
    aggregator.term()
    new = Emitter(line)
    new.add_all(new.usage(25, seed=2))
    told = line.meterctl("stream", "adopt", DATABASE_URL=other)
    assert told.returncode == 1 and f"ledger={identity(line)[0]}" in told.stdout
    assert "waiting=25" in told.stdout and "nothing was done" in told.stderr
    assert identity(line, other)[1] == 0
    done = line.must("meterctl", "stream", "adopt", "--yes", DATABASE_URL=other)
    assert "lost=0" in done.stdout and "4 tenants of the other ledger are gone" in done.stdout
    assert identity(line, other)[1] == 1
    again = line.must("meterctl", "stream", "adopt", "--yes", DATABASE_URL=other)
    assert "it belongs to no other ledger" in again.stdout
    start(line, DATABASE_URL=other).wait_log("stream_opened")
    line.wait_for(lambda: line.client().xlen(STREAM) == 0, 20, "all is counted")
    audit = line.meterctl("audit", DATABASE_URL=other)
    assert "counted=25 " in audit.stdout and " lost=0 " in audit.stdout
    assert audit.returncode == 4 and audit.stdout.endswith("attention: sink_hold=1\n")
    line.wait_for(lambda: int(line.client().hget("quota:{t0}", "api_calls.used") or 0)
                  == new.oracle.total("t0", "api_calls"), 3, "the cache tells the new ledger's usage")
    assert not line.client().exists("quota:{t3}"), "a tenant that only the old ledger knew"
    # The old ledger's own stages leave it all alone now.
    assert start(line).wait_exit() == 2
    webhookd = line.start_webhookd(WEBHOOKD_HEAL_S=1)
    line.sql("SELECT refresh_usage_quotas('t0')")
    webhookd.wait_log("quota_foreign", level="error", timeout=30)
    assert line.client().hget("quota:{t0}", "ledger").endswith(identity(line, other)[0])
    assert line.client().hget("quota:{t0}", "status") is None


def test_a_stream_that_was_taken_and_is_taken_back_tells_what_is_gone(line, other):
    aggregator = start(line)
    emitter = Emitter(line)
    emitter.add_all(emitter.usage(40))
    settle(line)
    line.must("meterctl", "stream", "adopt", "--yes", DATABASE_URL=other)
    # It has counted this stream: it waits, since the other one may be the mistake.
    aggregator.wait_log("stream_refused", level="error")
    line.wait_for(lambda: not aggregator.ready(), 10, "it is not ready")
    assert identity(line, other)[0] in aggregator.get("/readyz")[1]
    line.emit(Emitter(line).usage(30, seed=2))
    stranger = start(line, DATABASE_URL=other)
    line.wait_for(lambda: line.client().xlen(STREAM) == 0, 20, "the other ledger counts")
    stranger.term()
    assert aggregator.running
    done = line.must("meterctl", "stream", "adopt", "--yes")
    assert "lost=30" in done.stdout
    aggregator.wait_log("stream_opened", epoch="2")
    emitter.add_all(emitter.usage(10, seed=3))
    settle(line)
    ended, now = epochs(line).values()
    assert (ended["counted"], ended["lost"], now["counted"], now["lost"]) == (40, 30, 10, 0)
    assert held(line)
    assert_balanced(line, ["lost", "sink_hold"])
    line.wait_for(lambda: int(line.client().hget("quota:{t0}", "api_calls.used") or 0)
                  == emitter.oracle.total("t0", "api_calls"), 5, "the cache is ours again")


def test_an_adoption_that_was_cut_short_is_finished_by_the_aggregator(line, other):
    start(line, STREAM_KEEP_S=3600).wait_log("stream_opened")
    old = Emitter(line)
    old.add_all(old.usage(40))
    line.wait_for(lambda: position(line).counted == 40, 20, "all is counted, and kept")
    line.wait_for(lambda: line.client().xinfo_groups(STREAM)[0]["entries-read"] == 40, 10, "and told")
    for stage in line.stages:
        stage.term()
    url_sql = line.postgres.connect(other)
    with url_sql.cursor() as cursor:
        cursor.execute("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                       "$$ BEGIN RAISE 'not now'; END $$")
        cursor.execute("CREATE TRIGGER refuse BEFORE UPDATE OF base ON stream_positions "
                       "FOR EACH ROW EXECUTE FUNCTION refuse()")
        done = line.meterctl("stream", "adopt", "--yes", DATABASE_URL=other)
        assert done.returncode == 1 and "the stream is taken over" in done.stderr
        cursor.execute("DROP TRIGGER refuse ON stream_positions")
    url_sql.close()
    line.xadd(tenant="t0", metric="api_calls")
    start(line, DATABASE_URL=other, STREAM_KEEP_S=3600).wait_log("epoch_opened", reason="reset")

    def audited():
        audit = line.meterctl("audit", DATABASE_URL=other)
        return audit.returncode == 0 and "added=1 counted=1 " in audit.stdout
    line.wait_for(audited, 20, "only what came after is the new ledger's")
