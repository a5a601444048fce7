"""Somebody else folds a stream while its aggregator goes on: each batch is folded once, and nobody waits for ever."""

import contextlib
import threading

import pytest

from line.line import STREAM
from support.aggregator import CATALOG, add_of_every_kind, apply, fill, prove_folded, start
from support.ledger_proof import Emitter, prove, settle

WITHOUT_SUMS = "SELECT count(*) FROM usage_pending WHERE from_raw"
FOLD = f"SELECT count(*) FROM fold_usage('{STREAM}')"


@contextlib.contextmanager
def held(line, lock):
    """Whatever needs that lock waits until the end."""
    with line.postgres.connect() as holder, holder.cursor() as cursor:
        holder.autocommit = False
        cursor.execute(lock)
        yield
        holder.commit()


class Other(threading.Thread):
    """A statement by somebody else, which has begun and waits."""

    def __init__(self, line, statement=FOLD):
        super().__init__(daemon=True)
        self.line, self.statement, self.error = line, statement, None
        self.start()
        line.wait_for(lambda: line.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                                         "AND query = %s", statement), 60, "it has begun, and waits")

    def run(self):
        with self.line.postgres.connect() as connection, connection.cursor() as cursor:
            try:
                cursor.execute(self.statement)
            except Exception as error:  # pylint: disable=broad-except
                self.error = error

    def end(self):
        self.join(60)
        assert not self.is_alive() and self.error is None


def settle_and_end(line, stage):
    settle(line, 120)
    line.wait_for(lambda: line.value("SELECT count(*) FROM usage_pending") == 0, 60, "all is folded")
    stage.term()


def waits_for_fold(line):
    return line.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == 1


# While it counts from the raw events, and while it writes.
@pytest.mark.parametrize("lock", ["LOCK TABLE metric_versions IN ACCESS EXCLUSIVE MODE",
                                  "LOCK TABLE usage_aggregates IN EXCLUSIVE MODE"])
def test_batches_that_come_meanwhile_wait_for_the_next_fold(line, lock):
    tenants = 60_000
    fill(line, tenants, tenants)
    with held(line, lock):
        stage = start(line, AGGREGATOR_BATCH_MAX=3000)
        line.wait_for(lambda: line.value(WITHOUT_SUMS) >= 3, 60)
        other = Other(line)
        line.wait_for(lambda: waits_for_fold(line), 60, "one fold waits for the other, without a deadlock")
    other.end()
    settle_and_end(line, stage)
    assert not stage.logs("stream_step_failed")
    prove_folded(line, tenants, tenants)


def test_what_they_take_back_waits_with_them(line):
    emitter = Emitter(line, apply(line, CATALOG))
    add_of_every_kind(emitter, 40_000)
    with held(line, "LOCK TABLE usage_totals IN EXCLUSIVE MODE"):
        stage = start(line, AGGREGATOR_BATCH_MAX=3000)
        line.wait_for(lambda: line.value(WITHOUT_SUMS) >= 3, 60)
        other = Other(line)
        line.wait_for(lambda: waits_for_fold(line), 60)
    other.end()
    settle_and_end(line, stage)
    prove(line, emitter.oracle)


def test_a_row_that_its_owner_has_covered_is_not_filled_as_well(line):
    fill(line, 3000, 3000)
    start(line, AGGREGATOR_BATCH_MAX=2500, METERLINE_TEST_CRASH="after_commit").wait_exit(60)
    batch, = line.sql("SELECT batch FROM usage_pending WHERE from_raw")
    with held(line, f"UPDATE usage_pending SET from_raw = false WHERE batch = {batch.batch}"):
        other = Other(line, f"SELECT count_pending('{STREAM}')")
    other.end()
    assert line.value("SELECT cardinality(tenants) FROM usage_pending") == 0


def test_who_opens_another_stream_leaves_this_one_alone(line):
    line.sql("UPDATE ledger_state SET value = 2 WHERE name = 'stream_shards'")
    line.sql("INSERT INTO stream_positions (stream, owner, lease_until) "
             "VALUES ('usage:events:{0}', 'somebody', now() + interval '1 hour')")
    line.sql("INSERT INTO stream_positions (stream) VALUES ('usage:events')")
    line.sql("INSERT INTO usage_pending (batch, stream, from_raw) VALUES (0, 'usage:events:{0}', true), "
             "(1, 'usage:events', true)")
    start(line, METERLINE_STREAM_SHARDS=2).wait_log("stream_opened", stream="usage:events:{1}")
    assert line.sql("SELECT stream FROM usage_pending") == [("usage:events:{0}",)]
