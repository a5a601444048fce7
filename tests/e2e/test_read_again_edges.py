"""Reading again where more than Redis or PostgreSQL changed meanwhile, and windows of odd entry ids."""

import json

import pytest

from line.line import STREAM
from support.aggregator import add_many, now_ms, start
from support.by_hand import commit_earlier
from support.ledger_proof import assert_balanced, position, settle
from support.read_again import HOUR_MS, KEEP, copy_redis, destroy_group, lose_redis_since_copy, once, total
from support.shards import reshard

DAY_MS = 24 * HOUR_MS


def rejects(line):
    return {row.reason: row.n for row in
            line.sql("SELECT reason, count(*)::int AS n FROM rejected_events GROUP BY reason")}


@pytest.mark.own_servers
@pytest.mark.parametrize("loss", ["cut", "destroyed"])
def test_a_stream_that_was_resharded_away_and_comes_back_changes_nothing(line, loss):
    """Its rejected retraction is no other shard's now, what was in the wrong stream was moved once."""
    once(line, **KEEP)
    line.xadd(tenant="a", op="retract", id="x")
    line.xadd(tenant="a", metric="api_calls", quantity=5, id="x")
    once(line, **KEEP)
    reshard(line, 2)
    for n in range(4):
        line.xadd(tenant=f"t{n}", metric="api_calls", quantity=1)
        line.xadd(tenant=f"t{n}", metric="api_calls", quantity=1, id="given")
    copy_redis(line)
    keep = {} if loss == "cut" else KEEP
    once(line, **keep)
    assert total(line) == 13
    before = rejects(line)
    assert before == {"unknown_retraction": 1, "wrong_shard": 8}
    for _ in range(2):
        if loss == "cut":
            assert not line.client().exists(STREAM)
            lose_redis_since_copy(line)
        else:
            destroy_group(line)
        once(line, **keep)
        assert total(line) == 13
        assert rejects(line) == before
    assert_balanced(line)


def test_what_postgres_refused_and_what_was_a_conflict_stays_so(line):
    """Read again, the batch is not even refused: nobody writes those entries."""
    once(line, **KEEP)
    line.sql("ALTER TABLE usage_batches ADD CHECK (NOT 'poison' = ANY (tenants))")
    for n in range(20):
        line.xadd(tenant="poison" if n == 7 else "a", metric="api_calls", quantity=n, id=f"{n % 15}")
    assert "event=batch_refused" in once(line, **KEEP).stderr
    expected = sum(n for n in range(15) if n != 7)
    assert total(line) == expected and rejects(line) == {"refused": 1, "conflict": 5}
    line.sql("ALTER TABLE usage_batches DROP CONSTRAINT usage_batches_tenants_check")
    destroy_group(line)
    assert "event=batch_refused" not in once(line, **KEEP).stderr
    assert total(line) == expected and rejects(line) == {"refused": 1, "conflict": 5}
    assert position(line).duplicates == 19
    assert_balanced(line)


@pytest.mark.own_servers
def test_what_retention_dropped_is_not_counted_again(line):
    """Redis comes back from a backup older than the raw events: nobody knows any more what was counted."""
    once(line)
    days = 100
    long_ago = now_ms() - days * DAY_MS
    for n in range(5):
        line.xadd(entry_id=f"{long_ago}-{n}", tenant="a", metric="api_calls", quantity=3, id=f"{n}")
    copy_redis(line)
    line.xadd(entry_id=f"{long_ago}-5", tenant="a", metric="api_calls", quantity=0, id="lost")
    once(line)
    assert total(line) == 15
    commit_earlier(line, f"{days} days")
    line.must("meterctl", "retention", "apply")
    assert line.value("SELECT sum(events) FROM usage_batches_dropped") == 6
    lose_redis_since_copy(line)
    once(line)
    assert total(line) == 15 and rejects(line) == {"too_old": 5}
    assert "may have been counted" in line.value("SELECT min(detail) FROM rejected_events")
    assert_balanced(line)


@pytest.mark.own_servers
def test_what_was_rejected_and_dropped_since_is_not_judged_again(line):
    """A retraction that came before its event, and a conflict whose first has left the window by now."""
    then = now_ms() - 3 * DAY_MS
    entries = [{"metric": "api_calls", "id": "first", "quantity": 4}, {"metric": "api_calls", "id": "first", "quantity": 6},
               {"op": "retract", "id": "x"}, {"metric": "api_calls", "id": "x", "quantity": 5}]
    for n, fields in enumerate(entries):
        line.xadd(entry_id=f"{then}-{n}", tenant="a", **fields)
    copy_redis(line)
    line.xadd(tenant="a", metric="api_calls", id="lost", quantity=0)
    once(line)
    assert total(line) == 9 and rejects(line) == {"conflict": 1, "unknown_retraction": 1}
    line.sql("UPDATE rejected_events SET rejected_at = rejected_at - interval '3 days'")
    commit_earlier(line, "3 days")
    line.must("meterctl", "retention", "apply", REJECT_KEEP_DAYS=1)
    assert not rejects(line)
    lose_redis_since_copy(line)
    line.xadd(tenant="a", metric="api_calls", id="new", quantity=1)
    once(line)
    assert total(line) == 10 and rejects(line) == {"too_old": 2}
    assert "may have been one of them" in line.value("SELECT min(detail) FROM rejected_events")
    assert_balanced(line)


def test_entries_are_not_kept_longer_than_rejects(line):
    done = line.run("aggregator", STREAM_KEEP_S=86401, REJECT_KEEP_DAYS=1)
    assert done.returncode == 2 and "STREAM_KEEP_S" in done.stderr and "REJECT_KEEP_DAYS" in done.stderr
    once(line, STREAM_KEEP_S=86400, REJECT_KEEP_DAYS=1)


def test_a_day_lies_between_entries_however_they_are_read(line):
    """Without ts, and read days later: a day after the first it is a repeat, an hour more and it is none."""
    first = now_ms() - 9 * DAY_MS
    for later, counted in ((0, 1), (DAY_MS, 1), (DAY_MS + HOUR_MS, 2)):
        line.xadd(entry_id=f"{first + later}-0", tenant="a", metric="api_calls", id="x")
        once(line)
        assert total(line) == counted
        commit_earlier(line, "2 days")
    assert_balanced(line)


def test_entries_that_somebody_numbers_himself_have_the_time_of_their_commit(line):
    """Ids of 1970 tell no time: else nothing would ever leave the window, and all be read at each start."""
    aggregator = start(line, AGGREGATOR_BATCH_MAX=10)
    for n in range(40):
        line.xadd(entry_id=f"1-{n + 1}", tenant="a", metric="api_calls", id=f"{n % 20}")
    settle(line)
    assert position(line).counted == 20 and position(line).duplicates == 20
    assert aggregator.metric("meterline_dedupe_window_seconds") == 24 * 3600
    aggregator.term()
    commit_earlier(line, "25 h", "batch < (SELECT max(batch) FROM usage_batches)")
    held = line.value("SELECT sum(events) FROM usage_batches WHERE committed_at > now() - interval '24 h'")
    aggregator = start(line)
    assert aggregator.wait_log("dedupe_window_rebuilt")["keys"] == str(held)
    assert 0 < held < 20
    assert_balanced(line)


def test_status_shows_the_window_that_is_in_force(line):
    def window():
        rows = json.loads(line.must("meterctl", "status", "--json").stdout)["stages"]
        return next(row.get("window_s") for row in rows if row["stage"] == "aggregator")

    aggregator = start(line, DEDUPE_WINDOW_H=2)
    line.wait_for(lambda: window() == 2 * 3600)
    assert "window_s" in line.must("meterctl", "status").stdout
    aggregator.term()
    # A batch that is larger than a small table: nothing of before is known.
    start(line, AGGREGATOR_BATCH_MAX=40_000, AGGREGATOR_FLUSH_MS=60_000)
    add_many(line, 0, 40_000)
    settle(line)
    line.stages[-1].term()
    start(line, DEDUPE_MEMORY_MB=1)
    line.wait_for(lambda: window() < 3600)
