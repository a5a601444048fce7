"""An id that tells when it was made counts once as long as raw events are kept: without ts, or with another one."""

import random

import pytest

from support.aggregator import add_many, now_ms, start
from support.by_hand import commit_at, commit_earlier
from support.id_times import kinds, ulid, uuid7
from support.ledger_proof import assert_balanced, position, settle
from support.seeds import new_seed
from support.usage_oracle import MINUTE_MS

HOUR_MS, DAY_MS = 60 * MINUTE_MS, 24 * 60 * MINUTE_MS


def once(line, **settings):
    return line.must("aggregator", "--once", **settings)


def total(line, metric="api_calls"):
    return line.value("SELECT coalesce(sum(quantity), 0) FROM usage_totals WHERE metric = %s", metric)


def outcomes(line):
    p = position(line)
    return p.counted, p.duplicates, p.conflicts, p.rejected


def pass_days(line, days):
    """What is counted was committed so much earlier. Its entries were added then, as their own ids say."""
    commit_earlier(line, f"{days} days")


def add_at(line, ms, seq, **fields):
    line.xadd(entry_id=f"{ms}-{seq}", tenant="a", **fields)


@pytest.mark.parametrize("days, made", [(2, 0), (30, 0), (80, 0), (80, 34)])
def test_repeats_are_known_beyond_the_window(line, days, made):
    """Days after their original, which was made in the moment that it was added in, or some days before. One with other
    content is a conflict; other ids of the same kind, tenants and times are others."""
    then = now_ms() - days * DAY_MS
    ids = kinds(then - made * DAY_MS)
    for n, id in enumerate(ids):
        add_at(line, then, n, metric="api_calls", id=id, quantity=5)
    once(line)
    assert total(line) == 5 * len(ids)
    pass_days(line, days)
    now = now_ms()
    for id in ids:
        line.xadd(tenant="a", metric="api_calls", id=id, quantity="5.0")
        line.xadd(tenant="a", metric="api_calls", id=id, quantity=5, ts=now - HOUR_MS)
        line.xadd(tenant="a", metric="api_calls", id=id, quantity=5, ts=now - 30 * DAY_MS)
        line.xadd(tenant="a", metric="api_calls", id=id, quantity=6)
    once(line)
    assert outcomes(line) == (len(ids), 3 * len(ids), len(ids), 0)
    for id in ids:
        line.xadd(tenant="b", metric="api_calls", id=id, quantity=5)
    for id in kinds(then - made * DAY_MS):
        line.xadd(tenant="a", metric="api_calls", id=id, quantity=5)
    once(line)
    assert outcomes(line) == (3 * len(ids), 3 * len(ids), len(ids), 0)
    assert_balanced(line)


def test_what_tells_no_time_is_known_in_the_window_only(line):
    """As it is said: also an id that was made too long before, or after its entry."""
    then = now_ms() - 2 * DAY_MS
    ids = ["order-7", "6f9619ff-8b86-4011-b42d-00c04fc964ff", ulid(then - 36 * DAY_MS), uuid7(then + 6 * MINUTE_MS)]
    for n, id in enumerate(ids):
        add_at(line, then, n, metric="api_calls", id=id)
    once(line)
    pass_days(line, 2)
    for id in ids:
        line.xadd(tenant="a", metric="api_calls", id=id)
        line.xadd(tenant="a", metric="api_calls", id=id)
    once(line)
    assert outcomes(line) == (2 * len(ids), len(ids), 0, 0)


def test_a_retraction_finds_its_event_by_the_time_of_its_id(line):
    """Without ts, once; one whose event never came is rejected."""
    then = now_ms() - 5 * DAY_MS
    ids = kinds(then)
    for n, id in enumerate(ids):
        add_at(line, then, n, metric="api_calls", id=id, quantity=5)
    once(line)
    pass_days(line, 5)
    yesterday = now_ms() - DAY_MS - HOUR_MS
    for n, id in enumerate(ids[:-1]):
        add_at(line, yesterday, n, op="retract", id=id)
    once(line)
    assert total(line) == 5
    pass_days(line, 1)
    for id in ids[:-1]:
        line.xadd(tenant="a", op="retract", id=id)
    line.xadd(tenant="a", op="retract", id=uuid7(then))
    once(line)
    assert outcomes(line) == (2 * len(ids) - 1, len(ids) - 1, 0, 1)
    assert total(line) == 5
    assert line.value("SELECT detail FROM rejected_events") == "id: no event that counted has this tenant and id"
    assert_balanced(line)


def test_a_window_that_shrank_doubles_no_id_that_tells_its_time(line):
    """The least table, and repeats of what it had to drop: without ts."""
    aggregator = start(line, DEDUPE_MEMORY_MB=1)
    first = [{"tenant": f"t{n % 20}", "metric": "api_calls", "id": uuid7(now_ms() - HOUR_MS)} for n in range(2000)]
    line.emit(first)
    add_many(line, 0, 200_000)
    settle(line)
    aggregator.wait_log("dedupe_window_shrunk")
    assert aggregator.metric("meterline_dedupe_window_seconds") < 3000
    line.emit(first)
    settle(line)
    assert position(line).counted == 202_000 and position(line).duplicates == 2000
    aggregator.term()
    start(line, DEDUPE_MEMORY_MB=1)
    line.emit(first)
    settle(line)
    assert position(line).counted == 202_000 and position(line).duplicates == 4000
    assert_balanced(line)


def test_random_ids_of_all_ages_count_once(line):
    """Made up to 35 days before they are added, sent again up to 40 days later."""
    choose = random.Random(new_seed())
    entries, wanted = [], {}
    for n in range(3000):
        added = now_ms() - choose.randrange(41 * DAY_MS)
        id = choose.choice(kinds(added - choose.choice([0, choose.randrange(60_000), choose.randrange(35 * DAY_MS)])))
        fields = {"tenant": f"t{choose.randrange(20)}", "metric": "api_calls", "quantity": choose.randrange(100), "id": id}
        wanted[fields["tenant"], id] = fields["quantity"]
        for at in [added] + [choose.randrange(added, now_ms()) for _ in range(choose.choice([0, 1, 1, 3]))]:
            ts = {"ts": at - choose.randrange(35 * DAY_MS)} if choose.random() < 0.3 else {}
            entries.append((at, {**fields, **ts}))
    entries.sort(key=lambda entry: entry[0])
    for at in range(0, len(entries), 700):
        pipe = line.client().pipeline(transaction=False)
        for n, (ms, fields) in enumerate(entries[at:at + 700]):
            pipe.xadd("usage:events", fields, id=f"{ms}-{at + n}")
        pipe.execute()
        once(line, DEDUPE_WINDOW_H=choose.choice([1, 24, 200]), AGGREGATOR_BATCH_MAX=choose.choice([100, 50_000]))
        commit_at(line, "to_timestamp(entry_last_ms / 1000)")
    stored = {(row.tenant, row.event_id): int(row.quantity) for row in
              line.sql("SELECT tenant, event_id, quantity FROM usage_events")}
    assert stored == wanted
    assert position(line).counted == len(wanted) and position(line).duplicates == len(entries) - len(wanted)
    assert_balanced(line)


def test_a_retraction_of_an_old_event_is_known_beyond_the_window_too(line):
    """Its id was made more than 35 days before it: it must find itself, or it is booked twice."""
    made = now_ms() - 40 * DAY_MS
    retracted = now_ms() - 26 * HOUR_MS
    for seq, quantity in ((0, 5), (1, 7)):
        add_at(line, made, seq, metric="api_calls", id=uuid7(made + seq), quantity=quantity)
    once(line)
    pass_days(line, 40)
    gone = line.value("SELECT event_id FROM usage_events WHERE quantity = 5")
    add_at(line, retracted, 0, op="retract", id=gone)
    once(line)
    commit_earlier(line, "26 hours", "batch = (SELECT max(batch) FROM usage_batches)")
    line.xadd(tenant="a", op="retract", id=gone)
    once(line)
    assert outcomes(line) == (3, 1, 0, 0) and total(line) == 7
    assert line.value("SELECT sum(quantity) FROM usage_events") == 7
    assert_balanced(line)
