"""In a backlog with many keys several batches are folded into minute rows and totals at once."""

import random
import threading

import pytest

from line.line import STREAM
from support.aggregator import CATALOG, add_of_every_kind, apply, fill, prove_folded, start
from support.ledger_proof import Emitter, prove, settle

BATCH = 3000


# Of more than 131,072 keys the sums are written in between.
@pytest.mark.parametrize("tenants,events", [(10_000, 40_000), (140_000, 140_000)])
def test_what_a_backlog_leaves_pending_is_folded_at_its_end(line, tenants, events):
    fill(line, tenants, events)
    line.must("aggregator", "--once", timeout=120, AGGREGATOR_BATCH_MAX=BATCH)
    prove_folded(line, tenants, events)


@pytest.mark.parametrize("point", ["after_commit:4", "in_transaction:4"])
def test_killed_with_sums_pending_the_next_one_folds_them(line, point):
    tenants, events = 10_000, 40_000
    fill(line, tenants, events)
    start(line, AGGREGATOR_BATCH_MAX=BATCH, METERLINE_TEST_CRASH=point).wait_exit(60)
    assert line.value("SELECT count(*) FROM usage_pending") > 0
    assert line.audit().ok, line.audit().text
    line.must("aggregator", "--once", timeout=120, AGGREGATOR_BATCH_MAX=BATCH)
    prove_folded(line, tenants, events)


@pytest.mark.parametrize("point", ["after_commit:2", "in_transaction:3"])
def test_sums_that_were_lost_with_their_process_are_counted_from_the_raw_events(line, point):
    emitter = Emitter(line, apply(line, CATALOG))
    add_of_every_kind(emitter)
    start(line, AGGREGATOR_BATCH_MAX=BATCH, METERLINE_TEST_CRASH=point).wait_exit(60)
    assert line.value("SELECT count(*) FROM usage_pending WHERE from_raw") >= 2
    assert line.audit().ok, line.audit().text
    assert line.value("SELECT count_pending(%s, 1)", STREAM) > 0   # One of them has its sums, the others have not.
    assert line.audit().ok, line.audit().text
    start(line)
    settle(line)
    prove(line, emitter.oracle)


def test_sums_by_a_catalog_that_changes_meanwhile_are_counted_from_the_raw_events(line):
    emitter = Emitter(line, apply(line, CATALOG))
    add_of_every_kind(emitter)
    line.sql("CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN "
             "UPDATE ledger_state SET value = value + 1 WHERE name = 'catalog_version'; RETURN NULL; END $$")
    line.sql("CREATE TRIGGER change AFTER INSERT ON usage_pending FOR EACH ROW "
             "WHEN (NEW.from_raw AND NEW.batch % 2 = 0) EXECUTE FUNCTION change()")
    before = line.value("SELECT value FROM ledger_state WHERE name = 'catalog_version'")
    start(line, AGGREGATOR_BATCH_MAX=2000)
    settle(line)
    assert line.value("SELECT value FROM ledger_state WHERE name = 'catalog_version'") > before
    prove(line, emitter.oracle)


WIDE = {"plans": [], "metrics": [
    {"metric": "api_calls", "name": "Calls", "unit": "call", "aggregation": "sum", "transport": "none"},
    {"metric": "wide", "name": "Wide", "unit": "call", "aggregation": "sum", "transport": "none",
     "dimensions": [f"d{n}" for n in range(14)]}]}


def refuse_by_trigger(line):
    """With its batch's raw events."""
    line.sql("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
             "IF 'culprit' = ANY (NEW.tenants) THEN RAISE 'no' USING ERRCODE = '22023'; END IF; RETURN NEW; END $$")
    line.sql("CREATE TRIGGER refuse BEFORE INSERT ON usage_batches FOR EACH ROW EXECUTE FUNCTION refuse()")
    return {}


def refuse_by_index(line):
    """With the fold: its dimensions are longer than an index takes, and nothing makes them shorter."""
    choose = random.Random(1)
    return {f"d{n}": "".join(chr(choose.randrange(33, 127)) for _ in range(250)) for n in range(14)}


@pytest.mark.parametrize("refuse", [refuse_by_trigger, refuse_by_index])
def test_an_entry_that_postgres_refuses_in_a_backlog_is_found_among_many(line, refuse):
    apply(line, WIDE)
    tenants = 20_000
    fill(line, tenants, tenants)
    line.xadd(tenant="culprit", metric="wide", **refuse(line))
    fill(line, tenants, tenants)   # Once more: duplicates.
    line.emit([{"tenant": f"u{n}", "metric": "api_calls", "quantity": "1.5"} for n in range(tenants)])
    aggregator = start(line, AGGREGATOR_BATCH_MAX=BATCH)
    settle(line, 120)
    assert line.sql("SELECT tenant, reason FROM rejected_events") == [("culprit", "refused")]
    line.wait_for(lambda: line.value("SELECT count(*) FROM usage_pending") == 0, 60)
    prove_folded(line, 2 * tenants, 2 * tenants)
    assert not aggregator.logs("stream_step_failed") and not aggregator.logs("batch_fenced")


def test_a_fold_by_somebody_else_in_between_is_noticed(line):
    """The sums in memory would be added twice if the aggregator did not compare."""
    tenants, events = 10_000, 200_000
    fill(line, tenants, events)
    line.sql("CREATE FUNCTION fold_now() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ "
             "BEGIN PERFORM fold_usage(NEW.stream); RETURN NULL; END $$")
    line.sql("CREATE TRIGGER fold_now AFTER INSERT ON usage_pending FOR EACH ROW "
             "WHEN (NEW.batch % 5 = 0) EXECUTE FUNCTION fold_now()")
    line.must("aggregator", "--once", timeout=120, AGGREGATOR_BATCH_MAX=BATCH)
    prove_folded(line, tenants, events)


def add_pending(cursor, stream, batch, rows):
    """Minute sums as an aggregator leaves them: (tenant, minute, quantity), one event each."""
    tenants, minutes, quantities = zip(*rows)
    cursor.execute(
        "INSERT INTO usage_pending (batch, stream, tenants, metrics, dimensions, minutes, events, sums, "
        "mins, maxs, lasts) SELECT %s, %s, t, m, d, a, e, q, q, q, l FROM (SELECT array_agg(tenant) AS t, "
        "array_agg('api_calls'::text) AS m, array_agg('{}'::text) AS d, array_agg(minute) AS a, "
        "array_agg(1::bigint) AS e, array_agg(quantity) AS q, array_agg(last_value("
        "(extract(epoch FROM minute) * 1000)::bigint, 1, 1, quantity)) AS l "
        "FROM unnest(%s::text[], %s::timestamptz[], %s::numeric[]) AS r (tenant, minute, quantity)) x",
        (batch, stream, list(tenants), list(minutes), list(quantities)))


def test_of_two_streams_that_fold_one_tenant_the_last_one_is_newer(line):
    """As around a reshard. A total that grew must never seem older than what the sink has claimed."""
    first, second = "2026-11-01T10:00Z", "2026-11-01T10:01Z"
    slow, holder = line.postgres.connect(), line.postgres.connect()
    slow.autocommit = holder.autocommit = False
    with slow, holder, slow.cursor() as cursor, holder.cursor() as held:
        add_pending(cursor, "a", 1, [("w", first, 1), ("x", first, 1)])
        cursor.execute("SELECT fold_usage('a')")
        slow.commit()
        held.execute("SELECT 1 FROM usage_totals WHERE tenant = 'w' FOR UPDATE")
        add_pending(cursor, "a", 2, [("w", first, 1), ("x", first, 1)])
        folding = threading.Thread(target=cursor.execute, args=("SELECT fold_usage('a')",))
        folding.start()
        line.wait_for(lambda: line.value("SELECT count(*) FROM pg_locks WHERE NOT granted") == 1, 10,
                      "it has its number, and waits")
        with line.postgres.connect() as quick, quick.cursor() as other:
            add_pending(other, "b", 3, [("x", second, 1)])
            other.execute("SELECT fold_usage('b')")
        claimed = line.value("SELECT version FROM usage_totals WHERE tenant = 'x'")
        holder.commit()
        folding.join()
        slow.commit()
    row = line.sql("SELECT version, quantity FROM usage_totals WHERE tenant = 'x'")[0]
    assert row.quantity == 3 and row.version > claimed
