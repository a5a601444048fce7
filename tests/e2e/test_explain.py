"""meterctl explain: from an invoice's number down to submissions, minutes and events, adding up to the last one."""

import collections
import csv
import decimal
import io
import json
import subprocess
import threading

import pytest

from line.stages import DEFAULTS, program
from support.rebuild import METRICS, MINUTE, catalog_with, count_all, now_ms, random_events
from support.retention import age, apply as apply_retention
from support.sink import add, add_tenants, once
from support.sink_shop import subscribe

ADDITIVE = ("sum", "count")


def explain(line, metric, tenant="acme", period="current", code=0):
    done = line.meterctl("explain", "--tenant", tenant, "--metric", metric, "--period", period, "--format", "json")
    assert done.returncode == code, done.stdout[-2000:] + done.stderr
    return json.loads(done.stdout)


def number(text):
    return decimal.Decimal(text)


def added(rows):
    with decimal.localcontext(decimal.Context(prec=60)):  # Exact.
        return sum((number(row["adds"]) for row in rows), decimal.Decimal(0))


def assert_adds_up(report, total):
    """Worked out from what is listed, not from what is said of it."""
    with decimal.localcontext(decimal.Context(prec=60)):
        submitted = added(report["submissions"]) + sum(number(row["quantity"]) for row in report["unbilled"])
    events = [event for minute in report["minutes"] for event in minute["raw_events"]]
    assert number(report["total"]) == total == submitted == added(report["minutes"]) == added(events)
    for minute in report["minutes"]:
        assert added([minute]) == added(minute["raw_events"]), minute
        kept = [event for event in minute["raw_events"] if not event["retracted"]]
        assert minute["events"] == len(kept)
        assert number(minute["quantity_sum"]) == exact_sum(event["quantity"] for event in kept)
    assert report["proof"]["difference"] == "0"


def exact_sum(texts):
    with decimal.localcontext(decimal.Context(prec=60)):
        return sum((number(text) for text in texts), decimal.Decimal(0))


def test_each_aggregation_adds_up_with_repeats_retractions_and_derived_metrics(line):
    catalog_with(line, METRICS)
    line.emit(random_events(7, 1500))
    count_all(line, AGGREGATOR_BATCH_MAX=97)
    totals = line.sql("SELECT tenant, metric, quantity, aggregation, period_start::text AS start FROM usage_totals JOIN "
                      "metrics USING (metric)")
    seen, retracted, listed = collections.Counter(), 0, []
    for row in totals:
        report = explain(line, row.metric, row.tenant, row.start)
        assert_adds_up(report, row.quantity)
        events = [event for minute in report["minutes"] for event in minute["raw_events"]]
        retracted += sum(event["retracted"] for event in events)
        seen[row.aggregation] += 1
        if row.aggregation in ("max", "last"):
            assert {number(event["adds"]) for event in events} <= {0, row.quantity}
        if row.metric == "large_calls":
            assert report["derived_from"] == "calls"
            assert {event["dimensions"]["model"] for event in events} == {"large"}
        else:
            listed += [event["stream_id"] for event in events]
    assert set(seen) == {"sum", "count", "max", "last", "unique"} and retracted > 20
    # Every event is listed, once; derived metrics have theirs once more.
    assert sorted(listed) == sorted(row.stream_id for row in line.sql(
        "SELECT stream_id FROM usage_events WHERE NOT retraction"))


def test_each_event_by_the_catalog_of_its_time(line):
    metrics = json.loads(json.dumps(METRICS))
    catalog_with(line, metrics)
    for step, dimensions in enumerate([["region"], ["model"], []]):
        line.emit({"tenant": "acme", "metric": "calls", "quantity": step + 1, "region": "eu", "model": model}
                  for model in ("large", "small", "large"))
        count_all(line)
        metrics[0]["dimensions"] = dimensions
        metrics[1]["where"] = {"model": "small"}
        catalog_with(line, metrics)
    assert_adds_up(explain(line, "calls"), 3 * (1 + 2 + 3))
    report = explain(line, "large_calls")     # Two of the first step, one of each later one.
    assert_adds_up(report, 4)
    assert [event["dimensions"]["model"] for minute in report["minutes"] for event in minute["raw_events"]] == [
        "large", "large", "small", "small"]


def test_the_event_that_decides_is_told(line):
    catalog_with(line, METRICS)
    ts = now_ms() // MINUTE * MINUTE - 5 * MINUTE
    for n, quantity in enumerate([5, 9, 9, 7]):
        for metric in ("peak", "seats"):
            line.xadd(tenant="acme", metric=metric, quantity=quantity, ts=ts + n, id=f"{metric}-{n}")
    for n, user in enumerate(["ann", "bob", "ann"]):
        line.xadd(tenant="acme", metric="users", user=user, ts=ts + n * MINUTE, id=f"users-{n}")
    line.xadd(tenant="acme", op="retract", id="users-0")
    count_all(line)
    for metric, total, deciding in (("peak", 9, {"peak-1"}), ("seats", 7, {"seats-3"}),
                                    ("users", 2, {"users-1", "users-2"})):
        report = explain(line, metric)
        assert_adds_up(report, total)
        assert {event["event_id"] for minute in report["minutes"] for event in minute["raw_events"]
                if event["adds"] != "0"} == deciding
    # A minute whose only event was taken back has no row any more, and is listed all the same.
    gone = report["minutes"][0]
    assert (gone["events"], gone["adds"], gone["raw_events"][0]["event_id"]) == (0, "0", "users-0")


def test_the_invoices_number_from_sent_to_waiting(shop):
    line = shop
    add_tenants(line, "acme")
    for n in range(4):
        line.xadd(tenant="acme", metric="llm_tokens", quantity="10.25", id=f"e{n}")
    count_all(line)
    once(line)
    line.xadd(tenant="acme", metric="llm_tokens", quantity="3.5", id="more")
    count_all(line)
    report = explain(line, "llm_tokens")
    assert_adds_up(report, number("44.5"))
    assert [(row["state"], row["quantity"], row["request_id"][:4]) for row in report["submissions"]] == [
        ("sent", "41", "req_")]
    assert {row["reason"]: row["quantity"] for row in report["unbilled"]} == {"waiting": "3", "carried": "0.5"}
    assert report["customer"] == line.tenants["acme"]
    once(line)
    proof = explain(line, "llm_tokens")["proof"]
    assert proof == {"total": "44.5", "sent": "44", "carried": "0.5", "minutes": "44.5", "events": "44.5",
                     "difference": "0"}
    # Given back, and not claimed anew yet.
    identifier = line.value("SELECT identifier FROM usage_submissions ORDER BY claim LIMIT 1")
    line.sql("SELECT void_submission(%s, '{sent}', 'x')", identifier)
    report = explain(line, "llm_tokens")
    assert_adds_up(report, number("44.5"))
    assert "has not claimed anew" in report["notes"][0] and report["proof"]["waiting"] == "41.5"
    once(line)
    assert_adds_up(explain(line, "llm_tokens"), number("44.5"))


def test_every_state_is_a_term_of_its_own(line):
    states = ["sent", "pending", "sending", "held", "failed", "in_doubt", "late", "late", "void"]
    for n, state in enumerate(states):
        line.xadd(tenant="acme", metric="api_calls", quantity=2 ** n, id=f"e{n}")
        add(line, f"ml-{n}", state, quantity=2 ** n, minutes=n, decision="drop" if n == 7 else None)
    # One that another period has, carried over from this one; and one that this one bills for another.
    add(line, "ml-over", "sent", quantity=1000, minutes=20, carried=True)
    line.sql("UPDATE usage_submissions SET period_start = '2001-01-01Z' WHERE identifier = 'ml-over'")
    count_all(line)
    line.sql("INSERT INTO usage_claims (tenant, metric, period_start, version, claimed, claims) "
             "SELECT tenant, metric, period_start, version, 255, 9 FROM usage_totals")
    report = explain(line, "api_calls")
    assert_adds_up(report, 511)
    assert report["proof"] == {
        "total": "511", "sent": "1", "dropped": "128", "late": "64", "in_doubt": "32", "failed": "16", "held": "8",
        "sending": "4", "pending": "2", "unmapped": "256", "minutes": "511", "events": "511", "moved_in": "1000",
        "difference": "0"}
    line.sql("UPDATE usage_submissions SET period_start = (SELECT period_start FROM usage_totals) "
             "WHERE identifier = 'ml-over'")
    line.sql("UPDATE usage_claims SET claimed = claimed + 1000")
    report = explain(line, "api_calls")
    assert report["proof"]["sent"] == "1001" and report["proof"]["unmapped"] == "-744"
    assert_adds_up(report, 511)


def test_a_submission_of_the_minute_that_holds_the_edge_counts_for_the_period_before(line):
    """Stripe's edge lies inside of that minute, so it bills it with what came before."""
    start = "date_trunc('minute', now()) - interval '2 days'"
    line.sql("INSERT INTO subscriptions (stripe_subscription_id, tenant, stripe_customer_id, status, "
             "current_period_start, current_period_end, billing_cycle_anchor, started_at) SELECT 'sub_1', 'acme', "
             f"'cus_1', 'active', s, s + interval '30 d', s, s FROM (SELECT {start} + interval '30 s') x (s)")
    line.sql("SELECT refresh_billing_periods('acme')")
    add(line, "ml-edge", "sent", quantity=3)
    line.sql(f"UPDATE usage_submissions SET usage_at = {start}")
    for period, sent in (("current", "0"), ("49h", "3")):
        line.sql("INSERT INTO usage_totals (tenant, metric, period_start, period_end, quantity, version, last_ms, "
                 "last_entry) SELECT 'acme', 'api_calls', p.period_start, p.period_end, %s, 1, 0, '' "
                 "FROM billing_period('acme', now() - %s::interval) p", sent, "0" if period == "current" else period)
        listed = line.must("meterctl", "submissions", "list", "--period", period).stdout
        assert ("ml-edge" in listed) == (sent == "3")
        done = line.meterctl("explain", "--tenant", "acme", "--metric", "api_calls", "--period", period, "--format", "json")
        assert json.loads(done.stdout)["proof"]["sent"] == sent


def test_of_a_value_the_newest_submission_holds_it(shop):
    line = shop
    add_tenants(line, "acme")
    for quantity in ("4", "7.5"):
        line.xadd(tenant="acme", metric="user_seats", quantity=quantity)
        count_all(line)
        once(line)
    report = explain(line, "user_seats")
    assert_adds_up(report, number("7.5"))
    assert [(row["quantity"], row["adds"]) for row in report["submissions"]] == [("4", "0"), ("7", "7")]
    line.xadd(tenant="acme", metric="user_seats", quantity="9")
    count_all(line)
    report = explain(line, "user_seats")
    assert_adds_up(report, 9)
    assert added(report["submissions"]) == 0 and report["proof"]["waiting"] == "9"


def test_a_value_that_was_carried_into_a_period_without_usage(line):
    line.xadd(tenant="acme", metric="user_seats", quantity=6, id="old")
    count_all(line)
    shift = "interval '32 days'"
    line.sql(f"UPDATE usage_aggregates SET minute_at = minute_at - {shift}, last_ms = last_ms - 2764800000")
    line.sql(f"UPDATE usage_batches SET occurred_min = occurred_min - {shift}, occurred_max = occurred_max - {shift}, "
             "occurred_ms = ARRAY[occurred_ms[1] - 2764800000]")
    report = explain(line, "user_seats")
    assert_adds_up(report, 6)
    assert "carried over" in report["notes"][0]
    assert report["minutes"][0]["minute_at"] < report["period_start"]


def test_what_was_moved_by_late_carry_is_named_in_both_periods(shop):
    """It counts where it was used, and is billed where it was moved to: each adds up."""
    line = shop
    add_tenants(line, "acme")
    subscribe(line, "acme", "now() - interval '1 month' - interval '3 days'")
    line.sql("UPDATE subscriptions SET current_period_start = current_period_end, current_period_end = current_period_end"
             " + interval '1 month'")
    line.sql("SELECT refresh_billing_periods('acme')")
    line.sql("""INSERT INTO invoices (stripe_invoice_id, tenant, stripe_customer_id, stripe_subscription_id, status, currency,
                    amount_due_minor, amount_paid_minor, period_start, period_end, finalized_at)
                SELECT 'in_1', tenant, stripe_customer_id, stripe_subscription_id, 'paid', 'usd', 0, 0, started_at,
                       current_period_start, now() FROM subscriptions""")
    line.xadd(tenant="acme", metric="api_calls", quantity=9, ts=now_ms() - 5 * 24 * 60 * MINUTE)
    count_all(line)
    once(line)
    old = line.value("SELECT period_start::text FROM usage_totals")
    assert explain(line, "api_calls", period=old)["proof"]["late"] == "9"
    line.must("meterctl", "late", "carry", "--tenant", "acme", "--yes")
    once(line)
    for own in (0, 4):  # The period that it was moved to has no usage; then it has some of its own.
        report = explain(line, "api_calls")
        assert_adds_up(report, own)
        assert [(row["quantity"], row["state"]) for row in report["moved_in"]] == [("9", "sent")]
        assert report["proof"]["moved_in"] == "9" and report["proof"]["sent"] == str(own)
        source = explain(line, "api_calls", period=old)
        assert_adds_up(source, 9)
        assert source["proof"]["moved_out"] == source["proof"]["sent"] == "9" and source["moved_in"] == []
        assert len(report["notes"]) == len(source["notes"]) == 1
        assert source["period_start"] in report["notes"][0] and report["period_start"] in source["notes"][0]
        assert source["submissions"][0]["period"] == report["period_start"]
        table = line.must("meterctl", "explain", "--tenant", "acme", "--metric", "api_calls", "--period", "current").stdout
        assert "used in others" in table and f"the period from {source['period_start']} on" in table
        text = line.must("meterctl", "explain", "--tenant", "acme", "--metric", "api_calls", "--period", "current",
                         "--format", "csv").stdout
        rows = [row for row in csv.DictReader(io.StringIO(text)) if row["record"] == "moved_in"]
        assert [(row["quantity"], row["adds"], row["note"]) for row in rows] == [("9", "", source["period_start"])]
        line.xadd(tenant="acme", metric="api_calls", quantity=4)
        count_all(line)
        once(line)
    assert line.audit().ok, line.audit().text


def test_a_period_without_usage_names_the_one_that_has_some(line):
    """A day's midnight lies in the period before, if that day began another."""
    catalog_with(line, METRICS)
    add_period = "INSERT INTO billing_periods VALUES ('acme', %s, %s, 'sub_1')"
    begin = line.value("SELECT minute_of(now()) - interval '2 hours'")
    before = line.value("SELECT %s::timestamptz - interval '3 days'", begin)
    line.sql(add_period, before, begin)
    line.sql(add_period, begin, line.value("SELECT %s::timestamptz + interval '30 days'", begin))
    line.xadd(tenant="acme", metric="api_calls", quantity=3)
    count_all(line)
    report = explain(line, "api_calls", period="3d")
    assert report["total"] == "0" and report["proof"]["difference"] == "0"
    (hint,) = report["notes"]
    assert hint.endswith(line.value("SELECT to_char(%s AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI\"Z\"')", begin))
    assert number(explain(line, "api_calls", period=hint.split()[-1])["total"]) == 3
    assert explain(line, "api_calls")["notes"] == []


def test_what_waits_to_be_folded_is_told(line):
    line.xadd(tenant="acme", metric="api_calls", quantity=2)
    count_all(line)
    line.sql("INSERT INTO usage_pending SELECT nextval('usage_batch'), 'usage:events', ARRAY[tenant, 'zen'], "
             "ARRAY[metric, metric], ARRAY['{}', '{}'], ARRAY[minute_at, minute_at], '{3, 5}', '{3, 5}', '{1, 1}', '{1, 1}', "
             "ARRAY['', ''] FROM usage_aggregates")
    report = explain(line, "api_calls")
    assert_adds_up(report, 2)
    assert report["notes"][0].startswith("3 events wait")


def test_of_what_retention_dropped_the_sum_is_told(line):
    age(line, days=100)
    line.sql("UPDATE usage_totals SET version = 1")
    report = explain(line, "api_calls", period="100d")
    assert_adds_up(report, 1)
    apply_retention(line)
    report = explain(line, "api_calls", period="100d")
    assert "retention" in report["notes"][0]
    assert report["minutes"][0]["raw_events"] == [] and report["minutes"][0]["adds"] == "1"
    assert report["proof"]["events_dropped"] == "1" and report["proof"]["difference"] == "0"


@pytest.mark.parametrize("fault, difference", [
    ("UPDATE usage_totals SET quantity = quantity + 3", "3"),
    ("UPDATE usage_aggregates SET quantity_sum = quantity_sum + 0.000000001", "0.000000002"),
    ("UPDATE usage_aggregates SET events = events + 1", "1"),
    ("DELETE FROM usage_aggregates", "12"),
    ("DELETE FROM usage_batches WHERE batch = (SELECT max(batch) FROM usage_batches)", "4"),
    ("UPDATE usage_batches SET quantities[1] = quantities[1] + 1", "2"),
    ("UPDATE usage_submissions SET quantity = quantity - 2", "2"),
    ("DELETE FROM usage_submissions", "6"),
], ids=lambda value: value[:40])
def test_what_does_not_add_up_is_found(shop, fault, difference):
    line = shop
    add_tenants(line, "acme")
    ts = now_ms() // MINUTE * MINUTE - 1
    for quantity in (2, 4):
        line.xadd(tenant="acme", metric="api_calls", quantity=quantity, ts=ts)
        count_all(line)
    once(line)
    assert_adds_up(explain(line, "api_calls"), 6)
    line.sql(fault)
    assert explain(line, "api_calls", code=1)["proof"]["difference"] == difference


def test_csv_and_table_say_the_same(line):
    catalog_with(line, METRICS)
    line.emit({"tenant": "acme", "metric": "calls", "quantity": f"{n}.5", "id": f"e,\"{n}", "region": "ü\"\\"}
              for n in range(5))
    line.xadd(tenant="acme", op="retract", id="e,\"2")
    count_all(line)
    args = ["explain", "--tenant", "acme", "--metric", "calls", "--period", "current"]
    text = line.must("meterctl", *args, "--format=csv").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    sums = collections.Counter()
    for row in rows:
        sums[row["record"]] += number(row["adds"] or "0")
    assert sums["total"] == sums["unbilled"] == sums["minute"] == sums["event"] == 10
    assert [(row["identifier"], row["state"], row["adds"]) for row in rows if row["record"] == "event"] == [
        (f"e,\"{n}", "retracted" if n == 2 else "", "0" if n == 2 else f"{n}.5") for n in range(5)]
    assert rows[-1]["record"] == "difference" and rows[-1]["quantity"] == "0"
    table = line.must("meterctl", *args).stdout
    assert table.splitlines()[-1] == "explain total=10 sent=0 not_billed=10 minutes=10 events=10 difference=0"
    assert "e,\"3" not in table
    listed = line.must("meterctl", *args, "--events").stdout
    assert "e,\"3" in listed and "(taken back)" in listed


def test_the_invoice_of_a_period_is_named(line):
    line.sql("INSERT INTO subscriptions (stripe_subscription_id, tenant, stripe_customer_id, status, "
             "current_period_start, current_period_end, billing_cycle_anchor, started_at) VALUES ('sub_1', 'acme', "
             "'cus_1', 'active', now() - interval '9 d', now() + interval '9 d', now() - interval '9 d', "
             "now() - interval '9 d')")
    line.sql("SELECT refresh_billing_periods('acme')")
    line.sql("INSERT INTO invoices (stripe_invoice_id, tenant, stripe_customer_id, stripe_subscription_id, status, currency, "
             "amount_due_minor, amount_paid_minor, period_start, period_end) SELECT 'in_1', tenant, 'cus_1', "
             "'sub_1', 'draft', 'usd', 5, 0, period_start, period_end FROM billing_periods")
    report = explain(line, "api_calls")
    assert (report["subscription"], report["invoice"], report["invoice_status"]) == ("sub_1", "in_1", "draft")
    assert_adds_up(report, 0)


@pytest.mark.parametrize("args, code", [
    (["--tenant", "acme", "--metric", "api_calls"], 2), (["--tenant", "acme", "--period", "current"], 2),
    (["--metric", "api_calls", "--period", "current"], 2),
    (["--tenant", "a", "--metric", "api_calls", "--period", "current", "--format", "xml"], 2),
    (["--tenant", "a", "--metric", "api_calls", "--period", "whenever"], 2),
    (["--tenant", "a", "--metric", "api_calls", "--period", "current", "x"], 2),
    (["--tenant", "a", "--metric", "no_such", "--period", "current"], 1)])
def test_wrong_usage(line, args, code):
    assert line.meterctl("explain", *args).returncode == code


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(text.split()[1]) for text in file if text.startswith("VmRSS"))


def test_many_events_take_neither_memory_nor_long(line):
    events = 100_000
    line.emit({"tenant": "acme", "metric": "api_calls", "id": n, "ts": now_ms() - n % 90 * 1000}
              for n in range(events))
    line.emit({"tenant": "acme", "op": "retract", "id": n} for n in range(0, events, 5))
    count_all(line)
    # A quarantine of the sanitizer's would look like growth.
    child = subprocess.Popen(
        [program("meterctl"), "explain", "--tenant", "acme", "--metric", "api_calls", "--period", "current",
         "--format", "csv"], env={**DEFAULTS, **line.env(ASAN_OPTIONS="quarantine_size_mb=1")},
        stdout=subprocess.PIPE)
    guard = threading.Timer(60, child.kill)     # Each event against each retraction would take minutes.
    guard.start()
    sizes, lines = [], 0
    for lines, text in enumerate(child.stdout, 1):
        if lines in (1000, events * 9 // 10):    # It is writing on, or waits until we read on.
            sizes.append(resident_kib(child.pid))
    guard.cancel()
    assert child.wait() == 0 and lines > events and text.startswith(b"difference,,,,0")
    assert sizes[1] - sizes[0] < 2048, sizes
