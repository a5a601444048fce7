"""What an entry became stays so: whatever is lost and read again, however late, counts once."""

import random

import pytest

from line import Line
from line.line import STREAM
from support.aggregator import CATALOG, add_many, apply, now_ms, start
from support.by_hand import commit_earlier
from support.catalog import add_metric
from support.ledger_proof import (
    Emitter, assert_balanced, assert_rejects, assert_same, expected_events, position, prove, settle, stored_events)
from support.lossy_servers import base_backup, restore
from support.moved_clock import MovedPostgres
from support.odd_entries import Chaos
from support.read_again import HOUR_MS, KEEP, copy_redis, destroy_group, lose_redis_since_copy, once, total
from support.seeds import new_seed

pytestmark = pytest.mark.own_servers


@pytest.fixture(name="moved")
def moved_fixture(folder, request):
    """A line whose PostgreSQL may have another time of day."""
    line = Line(folder, postgres=MovedPostgres(folder))
    request.node.meterline = line
    try:
        line.start_servers()
        line.migrate()
        line.catalog()
        yield line
    finally:
        line.close()


def move_postgres(line, hours):
    line.postgres.offset_s = hours * 3600
    line.postgres.restart()
    line._disconnect()
    line.wait_for(lambda: line.value("SELECT true"), 20, "PostgreSQL is back")


@pytest.mark.parametrize("lives", [True, False])
def test_retries_that_waited_longer_than_the_window_count_once(moved, lives):
    """An outage of 26 hours: what was sent again seconds after its original is read a day later, by the
    aggregator that counted the original or by another one."""
    line = moved
    events = [{"tenant": "a", "metric": "api_calls", "id": f"{n}"} for n in range(100)]
    aggregator = start(line)
    line.emit(events)
    settle(line)
    if lives:
        aggregator.pause()
    else:
        aggregator.term()
    line.emit(events + [{**events[0], "id": f"new-{n}"} for n in range(50)])
    move_postgres(line, hours=26)
    if lives:
        aggregator.resume()
    else:
        aggregator = start(line)
    settle(line)
    line.emit(events)  # And these come at once.
    settle(line)
    assert total(line) == 150
    assert aggregator.metric("meterline_dedupe_window_seconds") == 24 * 3600
    assert_balanced(line)


def test_a_stream_that_was_in_the_future_forgets_nothing_and_lets_go_again(line):
    """Its entries tell no time: what was committed within the window is known, and the ids of before."""
    add = [{"tenant": "a", "metric": "api_calls", "id": f"{n}", "ts": now_ms()} for n in range(20)]
    aggregator = start(line)
    line.emit(add)
    ahead = now_ms() + 400 * 24 * HOUR_MS
    for n in range(40):
        line.xadd(entry_id=f"{ahead + n * HOUR_MS}-0", **{**add[n % 20], "ts": now_ms()})
    settle(line)
    assert total(line) == 20
    assert aggregator.metric("meterline_dedupe_window_seconds") == 24 * 3600
    aggregator.term()
    start(line)
    for n in range(20):
        line.xadd(entry_id=f"{ahead + (100 + n) * HOUR_MS}-0", **{**add[n % 20], "ts": now_ms()})
    settle(line)
    assert total(line) == 20
    assert_balanced(line)


def test_a_retraction_that_was_rejected_takes_nothing_back_later(line):
    """It came before its event. Redis lost that both were trimmed, and what came later."""
    line.xadd(tenant="a", metric="api_calls", quantity=4, id="before")
    once(line)
    line.xadd(tenant="a", op="retract", id="x")
    line.xadd(tenant="a", metric="api_calls", quantity=5, id="x")
    copy_redis(line)
    line.xadd(tenant="a", metric="api_calls", quantity=0, id="lost")
    once(line)
    assert total(line) == 9
    lose_redis_since_copy(line)
    once(line)
    assert total(line) == 9
    assert line.value("SELECT count(*) FROM rejected_events") == 1
    assert position(line).epoch == 2 and position(line).duplicates == 2
    assert_balanced(line)


@pytest.mark.parametrize("loss", ["postgres restored", "group destroyed"])
def test_a_replay_and_its_original_count_once_in_whatever_order(line, loss):
    """Entries without an id have one by default: the replay gives it to them."""
    backup = None
    once(line, **KEEP)
    if loss == "postgres restored":
        backup = base_backup(line)
    for _ in range(10):
        line.xadd(tenant="a", metric="gpu_hours", quantity=5)
    once(line, **KEEP)
    add_metric(line, "gpu_hours")
    line.must("meterctl", "rejected", "replay", "--all", "--yes")
    once(line, **KEEP)
    assert total(line, "gpu_hours") == 50
    if backup:
        restore(line, backup)
        add_metric(line, "gpu_hours")
    else:
        destroy_group(line)
    once(line, **KEEP)
    assert total(line, "gpu_hours") == 50
    assert line.must("meterctl", "rebuild", "--check")
    assert_balanced(line, ("sink_hold",) if backup else ())


def test_a_repeat_that_left_the_window_with_its_original_stays_one(line):
    """Retries without ts, kept in the stream, and read again two days later."""
    events = [{"tenant": "a", "metric": "api_calls", "id": f"{n}"} for n in range(50)]
    two_days_ago = now_ms() - 48 * HOUR_MS
    for n in range(100):
        line.xadd(entry_id=f"{two_days_ago + n // 50 * HOUR_MS}-{n}", **events[n % 50])
    once(line, STREAM_KEEP_S=604800)
    commit_earlier(line, "2 days")
    destroy_group(line)
    line.emit([{"tenant": "a", "metric": "api_calls", "id": "later"}])
    once(line, STREAM_KEEP_S=604800)
    assert total(line) == 51
    assert_balanced(line)


def test_the_least_table_doubles_nothing_that_is_read_again(line):
    """It holds a part of what the stream keeps."""
    add_many(line, 0, 300_000)
    line.emit([{"tenant": f"t{n % 50}", "metric": "api_calls", "id": f"{n}"} for n in range(299_500, 300_000)])
    once(line, DEDUPE_MEMORY_MB=1, **KEEP)
    assert total(line) == 300_000
    destroy_group(line)
    once(line, DEDUPE_MEMORY_MB=1, **KEEP)
    assert total(line) == 300_000
    assert position(line).duplicates == 300_499
    assert_balanced(line)


def test_another_entry_that_got_the_id_of_a_lost_one_counts(line):
    """Redis gives ids by its clock, and may give one again: what the two say tells them apart."""
    line.xadd(entry_id=f"{now_ms()}-0", tenant="a", metric="api_calls", quantity=1, id="first")
    once(line)
    ids = [f"{now_ms() + n}-0" for n in range(4)]
    old = [{"metric": "api_calls", "quantity": 1}, {"metric": "none"},
           {"metric": "api_calls", "id": "first", "quantity": 1}, {"metric": "api_calls", "id": "x"}]
    new = [{"metric": "api_calls", "quantity": 2}, {"metric": "api_calls"},
           {"metric": "api_calls", "id": "second"}, {"metric": "api_calls", "id": "x"}]
    copy_redis(line)
    for id, fields in zip(ids, old):
        line.xadd(entry_id=id, tenant="a", **fields)
    once(line)
    assert total(line) == 3
    lose_redis_since_copy(line)
    ids[3] = ids[3].replace("-0", "-1")  # The position's own entry is gone.
    for id, fields in zip(ids, new):
        line.xadd(entry_id=id, tenant="a", **fields)
    once(line)
    assert total(line) == 3 + 2 + 1 + 1
    assert_balanced(line)


def prove_again(line, oracle):
    """Each entry is what it was when it was first read; only repeats were read more often."""
    prove(line, oracle, entries=False, attention=("sink_hold",))
    assert_same(stored_events(line), expected_events(oracle))
    assert_rejects(line, oracle)
    expected = oracle.outcomes()
    assert line.value("SELECT count(*) FROM rejected_events") == expected["rejected"] + expected["conflicts"]


class Losses:
    """Entries of every kind, losses in between. All is read before something is lost."""

    def __init__(self, line, seed):
        self.line, self.random = line, random.Random(seed)
        self.chaos = Chaos(seed)
        # A period that opens with a carried value is no entry's doing.
        self.emitter = Emitter(line, apply(line, {**CATALOG, "metrics": [
            {name: value for name, value in metric.items() if name != "carry"} for metric in CATALOG["metrics"]]}))

    def count(self):
        once(self.line, AGGREGATOR_BATCH_MAX=self.random.choice([50, 333, 50_000]),
             DEDUPE_WINDOW_H=24, **KEEP)

    def add(self):
        entries = [self.chaos.entry() or [("lonely", "field")] for _ in range(self.random.randrange(50, 400))]
        self.emitter.add_all(entries)
        self.chaos.entry_ids = [entry_id for entry_id, _, _ in self.emitter.oracle.entries]

    def replay(self):
        """What was rejected for its time or its place in the stream may count by now."""
        with self.line.redis.client(encoding_errors="replace") as client:  # Entries may hold any bytes.
            newest = client.xinfo_stream(STREAM)["last-generated-id"]
        self.line.must("meterctl", "rejected", "replay", "--reason", "unknown_retraction", "--yes")
        with self.line.redis.client(decode_responses=False) as client:
            for id, fields in client.xrange(STREAM, f"({newest}"):
                self.emitter.oracle.take(id.decode(), list(fields.items()))

    def lose(self):
        kind = self.random.choice(["cut", "destroyed", "restored", "killed"])
        print(kind)
        if kind == "cut":
            # Before or after new entries came, which are read; then they are gone, and do not come back.
            copy_redis(self.line)
            if self.random.random() < 0.5:
                self.add()
            self.count()
            lose_redis_since_copy(self.line)
        elif kind == "destroyed":
            destroy_group(self.line)
        elif kind == "restored":
            backup = base_backup(self.line)
            self.add()
            self.replay()
            self.count()
            restore(self.line, backup)
        else:
            self.add()
            aggregator = start(self.line, METERLINE_TEST_CRASH=self.random.choice(
                ["after_commit:1", "in_transaction:1"]), **KEEP)
            self.line.wait_for(lambda: not aggregator.running, 20, "it crashed")


def test_random_entries_and_random_losses(line):
    seed = new_seed()
    losses = Losses(line, seed)
    losses.count()
    for _ in range(8):
        losses.add()
        losses.count()
        if losses.random.random() < 0.5:
            losses.replay()
            losses.count()
        losses.lose()
        losses.count()
        prove_again(line, losses.emitter.oracle)
