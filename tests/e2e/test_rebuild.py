"""meterctl rebuild --check: minutes and totals once more from the raw events, and what it finds."""

import copy
import csv
import io
import json

import pytest

from support.by_hand import seal
from support.rebuild import METRICS, MINUTE, catalog_with, count_all, now_ms, random_events

STREAM = "usage:events"


def rebuild(line, *args):
    done = line.meterctl("rebuild", "--check", "--json", *args)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout)


def retract_by_hand(line, event_id):
    """As the aggregator writes it: a raw row of its own, and its minute to be counted anew."""
    line.sql("""
        WITH event AS (
            SELECT *, (extract(epoch FROM occurred_at) * 1000)::bigint AS ms FROM usage_events
             WHERE event_id = %s AND NOT retraction
        ), written AS (
            INSERT INTO usage_batches (day, stream, epoch, batch, slice, catalog_version, events, occurred_min, occurred_max,
                   entry_ms, entry_seq, tenants, metrics, ids_text, quantities, occurred_ms, fields, retracts,
                   entry_first_ms, entry_last_ms)
            SELECT (now() AT TIME ZONE 'UTC')::date, stream, epoch, nextval('usage_batch'), tenant_slice(tenant),
                   (SELECT value FROM ledger_state WHERE name = 'catalog_version'), 1, occurred_at, occurred_at,
                   ARRAY[(extract(epoch FROM now()) * 1000)::bigint], '{0}', ARRAY[tenant], ARRAY[metric], ARRAY[event_id],
                   ARRAY[-quantity], ARRAY[ms], ARRAY[dimensions::text], ARRAY[CASE WHEN id_given THEN 1 ELSE 2 END],
                   ms, ms
              FROM event)
        INSERT INTO usage_recounts SELECT tenant, metric, minute_of(occurred_at), stream, 0 FROM event""", event_id)
    line.sql("UPDATE stream_positions SET counted = counted + 1, base = base - 1 WHERE stream = %s", STREAM)
    line.sql("SELECT fold_usage(%s)", STREAM)
    seal(line)


@pytest.mark.parametrize("seed, batch_max", [(1, 50000), (2, 37), (3, 5)])
def test_what_was_counted_is_counted_again(line, seed, batch_max):
    catalog_with(line, METRICS)
    line.emit(random_events(seed, 600))
    count_all(line, AGGREGATOR_BATCH_MAX=batch_max)
    code, report = rebuild(line)
    assert (code, report["differences"]) == (0, [])
    assert report["minutes"] == line.value("SELECT count(*) FROM usage_aggregates")
    assert line.audit().ok, line.audit().text


def test_each_event_by_the_catalog_of_its_time(line):
    """Dimensions that come and go, a derived metric whose filter changes, one that is retired."""
    metrics = copy.deepcopy(METRICS)
    catalog_with(line, metrics)
    for step in range(3):
        line.emit({"tenant": "acme", "metric": "calls", "quantity": step + 1, "region": "eu",
                   "model": model} for model in ("large", "small", "large"))
        line.emit([{"tenant": "acme", "metric": "jobs", "id": f"job-{step}", "region": "eu"}])
        count_all(line)
        metrics[0]["dimensions"] = [["region"], ["model"], []][step]
        if step == 0:
            metrics[1]["where"] = {"model": "small"}
        if step == 1:
            metrics = [metric for metric in metrics if metric["metric"] != "large_calls"]
            metrics.append({"metric": "small_calls", "aggregation": "sum", "from": "calls",
                            "where": {"model": "small"}})
        catalog_with(line, metrics)
    line.emit([{"tenant": "acme", "op": "retract", "id": "job-0"}])
    count_all(line)
    assert line.value("SELECT count(DISTINCT catalog_version) FROM usage_batches") >= 3
    assert line.value("SELECT quantity FROM usage_totals WHERE metric = 'small_calls'") == 3
    code, report = rebuild(line)
    assert (code, report["differences"]) == (0, [])


def test_last_with_ties_is_the_later_entry(line):
    catalog_with(line, METRICS)
    ts = now_ms() - 5 * MINUTE
    for quantity in (5, 9, 7):
        line.xadd(tenant="acme", metric="seats", quantity=quantity, ts=ts)
    count_all(line, AGGREGATOR_BATCH_MAX=1)
    assert line.value("SELECT quantity FROM usage_totals WHERE metric = 'seats'") == 7
    assert rebuild(line)[0] == 0


@pytest.mark.parametrize("fault, kind", [
    ("UPDATE usage_aggregates SET quantity_sum = quantity_sum + 0.000000001", "minute"),
    ("UPDATE usage_aggregates SET events = events + 1", "minute"),
    ("UPDATE usage_aggregates SET quantity_min = quantity_min - 1", "minute"),
    ("UPDATE usage_aggregates SET quantity_max = quantity_max + 1", "minute"),
    ("UPDATE usage_aggregates SET quantity_last = quantity_last + 1", "minute"),
    ("UPDATE usage_aggregates SET last_ms = last_ms + 1", "minute"),
    ("UPDATE usage_aggregates SET dimensions = '{\"x\": \"y\"}' WHERE dimensions @> '{\"user\": \"bob\"}'", "minute"),
    ("DELETE FROM usage_aggregates", "minute"),
    ("UPDATE usage_totals SET quantity = quantity + 0.000000001", "total"),
    ("UPDATE usage_totals SET period_end = period_end + interval '1 min'", "total"),
    ("DELETE FROM usage_totals", "total"),
    ("UPDATE usage_uniques SET events = events + 1", "unique"),
    ("DELETE FROM usage_uniques", "unique"),
    ("DELETE FROM usage_batches", "minute"),
])
def test_each_fault_is_found(counted, fault, kind):
    assert rebuild(counted)[0] == 0
    counted.sql(fault)
    done = counted.meterctl("rebuild", "--check")
    assert done.returncode == 1 and done.stdout.splitlines()[-1] == "rebuild differs"
    assert f"rebuild difference kind={kind} tenant=acme metric=" in done.stdout


@pytest.fixture
def counted(line):
    catalog_with(line, METRICS)
    for user in ("ann", "bob", "ann"):
        line.xadd(tenant="acme", metric="users", user=user)
    count_all(line)
    return line


def test_what_was_taken_back_is_left_out(line):
    """For each aggregation, with ids given and ids by default; then all of a period's usage."""
    catalog_with(line, METRICS)
    ts = now_ms() - 2 * MINUTE
    for number, metric in enumerate(["calls", "peak", "seats", "users", "jobs"] * 3):
        line.xadd(tenant="acme", metric=metric, quantity=number, ts=ts + number, user=f"u{number % 4}",
                  model="large", **({"id": f"id-{number}"} if number < 12 else {}))
    count_all(line)
    given = [f"id-{number}" for number in range(12)]
    by_default = [row.event_id for row in line.sql("SELECT event_id FROM usage_events WHERE NOT id_given")]
    assert len(by_default) == 3
    for some in (given[:3], by_default, given[3:]):
        for event_id in some:
            retract_by_hand(line, event_id)
        code, report = rebuild(line)
        assert (code, report["differences"]) == (0, [])
        assert line.audit().ok, line.audit().text
    assert line.value("SELECT count(*) FROM usage_aggregates") == 0
    assert line.value("SELECT count(*) FROM usage_totals WHERE quantity = 0") == 6


def test_the_same_id_at_another_time_stays(line):
    """One that left the window was counted twice; a retraction takes the one of its time."""
    now = now_ms()
    for ts in (now - 3 * MINUTE, now - MINUTE):
        line.xadd(tenant="acme", metric="api_calls", id=f"id-{ts}", ts=ts)
    count_all(line)
    retract_by_hand(line, f"id-{now - MINUTE}")
    line.sql("UPDATE usage_batches SET ids_text = array_fill('same'::text, ARRAY[events])")
    assert rebuild(line)[0] == 0


def test_a_total_of_nobodys_usage_is_found(counted):
    counted.sql("INSERT INTO usage_totals (tenant, metric, period_start, period_end, quantity, version, last_ms, "
                "last_entry) SELECT 'ghost', metric, period_start, period_end, 5, 1, 0, '' FROM usage_totals")
    code, report = rebuild(counted)
    assert code == 1 and report["difference_count"] == 1
    assert report["differences"][0]["tenant"] == "ghost"
    assert rebuild(counted, "--tenant", "acme")[0] == 0
    assert rebuild(counted, "--tenant", "ghost")[0] == 1


def test_what_was_carried_equals_the_period_before(line):
    catalog_with(line, METRICS)
    now = now_ms()
    line.xadd(tenant="acme", metric="seats", quantity=5, ts=now - 34 * 86_400_000)
    count_all(line)
    line.sql("INSERT INTO usage_totals (tenant, metric, period_start, period_end, quantity, version, last_ms, last_entry)"
             " SELECT tenant, metric, period_end, period_end + interval '1 month', quantity, 9, last_ms, last_entry "
             "FROM usage_totals ON CONFLICT DO NOTHING")
    assert line.value("SELECT count(*) FROM usage_totals") >= 2
    to = ["--to", "2100-01-01"]
    assert rebuild(line, *to)[0] == 0
    line.sql("UPDATE usage_totals SET quantity = 6 WHERE period_start = (SELECT max(period_start) FROM usage_totals)")
    code, report = rebuild(line, *to)
    assert code == 1 and report["differences"][0]["recomputed"].startswith("5 ")


def test_a_subscriptions_periods(line):
    catalog_with(line, METRICS)
    now = now_ms()
    for day in range(0, 33, 4):
        line.xadd(tenant="acme", metric="users", user=f"u{day % 3}", ts=now - day * 86_400_000)
        line.xadd(tenant="acme", metric="calls", quantity=day, ts=now - day * 86_400_000)
    count_all(line)
    line.sql("INSERT INTO subscriptions (stripe_subscription_id, tenant, stripe_customer_id, status, "
             "current_period_start, current_period_end, billing_cycle_anchor, billing_interval, started_at) "
             "VALUES ('sub_1', 'acme', 'cus_1', 'active', now() - interval '3 days', now() + interval '4 days', "
             "now() - interval '3 days', 'week', now() - interval '17 days')")
    code, report = rebuild(line)
    assert code == 1 and {"total"} <= {row["kind"] for row in report["differences"]}
    line.sql("SELECT refresh_billing_periods('acme')")
    code, report = rebuild(line)
    assert (code, report["differences"]) == (0, [])
    line.xadd(tenant="acme", metric="users", user="new", ts=now - 4 * 86_400_000)
    count_all(line)
    assert rebuild(line)[0] == 0
    assert line.audit().ok, line.audit().text


def test_a_range_and_a_tenant(line):
    now = now_ms()
    for tenant in ("acme", "zen"):
        for minutes in (10, 20, 30):
            line.xadd(tenant=tenant, metric="api_calls", ts=now - minutes * MINUTE)
    count_all(line)
    line.sql("UPDATE usage_aggregates SET events = 2 WHERE tenant = 'zen' AND minute_at < now() - interval '25 min'")
    assert rebuild(line, "--tenant", "acme")[0] == 0
    assert rebuild(line, "--from", "24m")[1]["minutes"] == 4
    assert rebuild(line, "--from", "24m")[0] == 0
    assert rebuild(line, "--to", "24m")[1]["difference_count"] == 1
    for wrong in (["--from", "soon"], ["--tenant"], ["extra"], ["--fast"]):
        assert line.meterctl("rebuild", "--check", *wrong).returncode == 2
    assert line.meterctl("rebuild").returncode == 2


def test_of_many_differences_a_hundred_are_shown(line):
    line.emit({"tenant": f"t{i}", "metric": "api_calls"} for i in range(150))
    count_all(line)
    line.sql("UPDATE usage_totals SET quantity = 2")
    done = line.meterctl("rebuild", "--check")
    assert done.stdout.count("rebuild difference ") == 100
    assert " differences=150\n" in done.stdout


def test_while_aggregators_run_it_finds_nothing(line):
    catalog_with(line, METRICS)
    line.start_aggregator(AGGREGATOR_FLUSH_MS=20, AGGREGATOR_BATCH_MAX=200)
    for seed in range(8):
        line.emit(random_events(seed + 10, 300))
        code, report = rebuild(line)
        assert (code, report["differences"]) == (0, [])


def test_a_batch_that_waits_to_be_folded_is_named(line):
    line.xadd(tenant="acme", metric="api_calls")
    count_all(line)
    line.sql("INSERT INTO usage_batches SELECT day, stream, epoch, nextval('usage_batch'), slice, catalog_version, events, "
             "occurred_min, occurred_max, committed_at, entry_first_ms, entry_last_ms, entry_ms, entry_seq, tenants, metrics, ids_uuid, ids_text, "
             "quantities, occurred_ms, fields, retracts FROM usage_batches")
    line.sql("INSERT INTO usage_pending SELECT max(batch), %s, '{acme}', '{api_calls}', '{\"{}\"}', '{2026-11-21T10:00Z}', "
             "'{1}', '{1}', '{1}', '{1}', '{}' FROM usage_batches", STREAM)
    done = line.must("meterctl", "rebuild", "--check")
    assert f"rebuild pending stream={STREAM} batches=1 " in done.stdout
    line.sql("DELETE FROM usage_pending")
    assert line.meterctl("rebuild", "--check").returncode == 1


@pytest.mark.own_servers
def test_what_cannot_be_checked_is_told(line):
    line.xadd(tenant="acme", metric="api_calls", ts=now_ms() - 60 * MINUTE)
    line.xadd(tenant="acme", metric="api_calls")
    count_all(line)
    line.sql("INSERT INTO usage_batches_dropped (stream, epoch, day, events, occurred_max) "
             "VALUES (%s, 1, '2026-01-01', 5, now() - interval '30 min')", STREAM)
    line.sql("UPDATE usage_aggregates SET quantity_sum = 7, events = 7 WHERE minute_at < now() - interval '30 min'")
    line.sql("UPDATE usage_totals SET quantity = 8")
    code, report = rebuild(line)
    assert code == 0 and report["unchecked_before"] and report["minutes"] == 1
    gone = line.meterctl("rebuild", "--check", "--to", "40m")
    assert gone.returncode == 3 and "retention" in gone.stderr
    line.postgres.stop()
    assert line.meterctl("rebuild", "--check").returncode == 3


def test_an_empty_ledger(line):
    assert rebuild(line) == (0, rebuild(line)[1])
    assert rebuild(line)[1]["minutes"] == 0


# events

def test_events_as_they_were_counted(line):
    now = now_ms() // 1000 * 1000
    line.xadd(tenant="acme", metric="api_calls", quantity="999999999999999999.999999999", ts=now - 5, id="a,\"b\"\r\n",
              note="x\ty")
    line.xadd(tenant="acme", metric="llm_tokens", quantity="-0.5", ts=now - 3)
    line.xadd(tenant="zen", metric="api_calls")
    count_all(line)
    retract_by_hand(line, "a,\"b\"\r\n")
    rows = [json.loads(text) for text in
            line.must("meterctl", "events", "--tenant", "acme").stdout.splitlines()]
    assert sorted((row["metric"], row["quantity"], row["retraction"]) for row in rows) == [
        ("api_calls", "-999999999999999999.999999999", True),
        ("api_calls", "999999999999999999.999999999", False), ("llm_tokens", "-0.5", False)]
    assert {row["event_id"] for row in rows if row["metric"] == "api_calls"} == {"a,\"b\"\r\n"}
    assert rows[0]["dimensions"] == {"note": "x\ty"} and rows[0]["stream"] == STREAM
    assert rows[2]["event_id"] == f"{STREAM}/{rows[2]['stream_id']}"
    text = line.run("meterctl", "events", "--tenant", "acme", "--format", "csv").stdout
    # Read as text, so that line breaks in fields may have become plain ones: compared without them.
    table = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["quantity"] for row in table] == [row["quantity"] for row in rows]
    assert json.loads(table[0]["dimensions"]) == {"note": "x\ty"}
    assert table[0]["event_id"].strip() == "a,\"b\""
    only = line.must("meterctl", "events", "--tenant", "acme", "--metric", "llm_tokens", "--limit", "5").stdout
    assert only.count("\n") == 1 and '"llm_tokens"' in only


def test_events_of_a_range_of_use(line):
    now = now_ms()
    for minutes in range(10):
        line.xadd(tenant="acme", metric="api_calls", quantity=minutes, ts=now - minutes * MINUTE - 1000)
    count_all(line)

    def quantities(*args):
        done = line.must("meterctl", "events", "--tenant", "acme", *args)
        return [json.loads(text)["quantity"] for text in done.stdout.splitlines()]

    assert quantities() == [str(n) for n in reversed(range(10))]
    assert quantities("--from", "3m") == ["2", "1", "0"]
    assert quantities("--to", "8m") == ["9", "8"]
    assert quantities("--limit", "1") == ["9"]
    for wrong in ([], ["--tenant", "acme", "--format", "xml"], ["--tenant", "acme", "--limit", "0"],
                  ["--tenant", "acme", "--from", "infinity"]):
        assert line.meterctl("events", *wrong).returncode == 2
