"""What is claimed, when, for which period and in which minute: edges, corrections, decisions, changes."""

import json
import subprocess
import threading

import pytest

from line import logfmt
from line.paths import ROOT
from support.sink import (
    EVENTS, add_tenants, billing, claims, count, finalize, is_sent, once, states, subscribe, total, unbilled)

NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def late(shop):
    """A month's subscription that was renewed three days ago; 9 of its last period came after the invoice."""
    add_tenants(shop, "acme", days=34)
    subscribe(shop, "acme", "now() - interval '1 month' - interval '3 days'")
    finalize(shop)
    count(shop, "acme", "api_calls", "9", at="now() - interval '5 days'")
    count(shop, "acme", "api_calls", "4")
    once(shop)
    assert states(shop) == {"late": 1, "sent": 1}
    return shop


# Edges.

def test_no_usage_lies_in_the_minute_that_a_period_begins_in(shop):
    """The anchor has seconds: Stripe's period begins inside of that minute, ours with it."""
    add_tenants(shop, "acme", days=40)
    subscribe(shop, "acme", "minute_of(now()) - interval '1 month 2 minutes' + interval '37 seconds'")
    start = shop.value("SELECT current_period_end FROM subscriptions")
    assert start.second == 37
    for quantity in range(1, 6):
        count(shop, "acme", "api_calls", quantity)
        once(shop)
    rows = claims(shop)
    assert len(rows) == 5 and all(row.usage_at >= start for row in rows)
    stripes = shop.sandbox.totals(start=int(start.timestamp()))
    assert [row["value"] for row in stripes if row["event_name"] == "api_calls"] == ["5"]


def test_a_claim_inside_the_edges_minute_counts_for_the_period_before(shop):
    """It was made while the calendar month held; then a subscription began later in that very minute."""
    add_tenants(shop, "acme")
    count(shop, "acme", "api_calls", "50")
    once(shop)
    shop.sql("UPDATE usage_submissions SET usage_at = usage_at - interval '2 minutes'")
    used = claims(shop)[0].usage_at
    shop.sql("""INSERT INTO usage_aggregates (tenant, metric, minute_at, events, quantity_sum, quantity_min,
                    quantity_max, quantity_last, last_ms, last_entry)
                VALUES ('acme', 'api_calls', %s, 1, 50, 50, 50, 50, 0, '')""", used)
    subscribe(shop, "acme", f"'{used}'::timestamptz + interval '40 seconds'")
    once(shop)
    assert [(int(row.quantity), row.state) for row in claims(shop)] == [(50, "sent"), (50, "sent")]
    assert shop.sql("SELECT reason, quantity::integer AS n FROM usage_unbilled") == [("before_subscription", -50)]
    assert billing(shop, "api_calls")["sent"] == "100"


def test_what_is_claimed_while_a_period_moves_is_taken_back(shop):
    """A claim that is not committed yet is waited for: nobody else would look at where it lies then."""
    add_tenants(shop, "acme")
    count(shop, "acme", "api_calls", "10")
    shop.sql("""INSERT INTO usage_aggregates (tenant, metric, minute_at, events, quantity_sum, quantity_min,
                    quantity_max, quantity_last, last_ms, last_entry)
                VALUES ('acme', 'api_calls', minute_of(now()) - interval '9 minutes', 1, 10, 10, 10, 10, 0, '')""")
    shop.sql("""INSERT INTO subscriptions (stripe_subscription_id, tenant, stripe_customer_id, status,
                    current_period_start, current_period_end, billing_cycle_anchor, started_at)
                SELECT 'sub_1', 'acme', %s, 'active', s, s + interval '1 month', s, s
                  FROM (SELECT now() - interval '5 minutes') x (s)""", shop.tenants["acme"])
    with shop.postgres.connect() as claimer, claimer.cursor() as claims_of:
        claims_of.execute("BEGIN; SELECT pg_advisory_xact_lock(hashtext('meterline claims'))")
        claims_of.execute("""INSERT INTO usage_submissions (identifier, tenant, metric, transport, stripe_customer_id,
                                 event_name, period_start, claim, usage_at, quantity, body, state)
                             SELECT 'ml-1', 'acme', 'api_calls', 'meter_events', %s, 'api_calls', period_start, 1,
                                    minute_of(now()), 10, '', 'sent' FROM usage_totals""", [shop.tenants["acme"]])
        webhookd = threading.Thread(target=shop.sql, args=["SELECT refresh_billing_periods('acme')"])
        webhookd.start()
        with shop.postgres.connect() as other, other.cursor() as watch:
            def waits_or_is_done():
                watch.execute("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
                return watch.rowcount > 0 or not webhookd.is_alive()
            shop.wait_for(waits_or_is_done)
        claims_of.execute("COMMIT")
    webhookd.join()
    once(shop)
    assert shop.value("SELECT sum(quantity) FROM usage_submissions") == 0
    assert unbilled(shop) == {"before_subscription": "1E+1"}


@pytest.mark.parametrize("seconds, before, quantities, unbilled_units", [
    (40, 30, [50, -20], 20), (40, 0, [50, -50], 50), (0, 30, [50, 30], -30)])
def test_a_subscription_that_ends_in_the_minute_of_a_claim(shop, seconds, before, quantities, unbilled_units):
    """What was claimed in that minute is billed by the subscription if it ended later in it, and not twice."""
    add_tenants(shop, "acme")
    subscribe(shop, "acme", "now() - interval '2 days'")
    count(shop, "acme", "api_calls", "50")
    once(shop)
    shop.sql("UPDATE usage_submissions SET usage_at = usage_at - interval '2 minutes'")
    used = claims(shop)[0].usage_at
    for minutes_ago, units in [(3, before), (0, 50 - before)]:
        shop.sql("""INSERT INTO usage_aggregates (tenant, metric, minute_at, events, quantity_sum, quantity_min,
                        quantity_max, quantity_last, last_ms, last_entry)
                    SELECT 'acme', 'api_calls', %s - %s * interval '1 minute', 1, n, n, n, n, 0, ''
                      FROM (SELECT %s) AS v (n) WHERE n > 0""", used, minutes_ago, units)
    shop.sql("UPDATE subscriptions SET status = 'canceled', ended_at = %s + %s * interval '1 s'", used, seconds)
    shop.sql("SELECT refresh_billing_periods('acme')")
    once(shop)
    assert [(int(row.quantity), row.state) for row in claims(shop)] == [(n, "sent") for n in quantities]
    assert shop.sql("SELECT reason, quantity::integer AS n FROM usage_unbilled") == [
        ("before_subscription", unbilled_units)]
    assert total(shop, "acme", "api_calls") == sum(quantities)
    billing(shop, "api_calls")


# Corrections, parts, minutes.

def test_once_sends_all_parts_of_a_long_value(shop):
    add_tenants(shop, "acme")
    count(shop, "acme", "llm_tokens", "29000000000000007")
    once(shop)
    assert total(shop, "acme", "llm_tokens") == 29000000000000007
    assert states(shop) == {"sent": 30}


def test_what_became_void_is_claimed_anew_in_another_minute(shop):
    add_tenants(shop, "acme")
    count(shop, "acme", "api_calls", "5")
    shop.sandbox.fault("status", path=EVENTS, status=400, times=1)
    once(shop)
    first = claims(shop, "identifier, usage_at")[0]
    assert shop.value("SELECT void_submission(%s, '{failed}', 'not there')", first.identifier)
    assert billing(shop, "api_calls")["waiting"] == "5"
    once(shop)
    assert states(shop) == {"void": 1, "sent": 1} and total(shop, "acme", "api_calls") == 5
    again = claims(shop, "identifier, usage_at")[1]
    assert again.identifier != first.identifier and again.usage_at != first.usage_at
    assert billing(shop, "api_calls")["sent"] == "5"


def test_a_value_that_became_void_is_claimed_anew(shop):
    add_tenants(shop, "acme")
    for quantity in ("5", "6"):
        count(shop, "acme", "user_seats", quantity)
        shop.sandbox.fault("status", path=EVENTS, status=400, times=int(quantity == "6"))
        once(shop)
    newest = shop.value("SELECT identifier FROM usage_submissions WHERE state = 'failed'")
    assert shop.value("SELECT void_submission(%s, '{failed}', 'not there')", newest)
    assert unbilled(shop) == {"waiting": "6"}
    once(shop)
    assert total(shop, "acme", "user_seats") == 6 and unbilled(shop) == {}


def test_a_value_that_stripe_could_not_hold_is_not_claimed_and_waits_visibly(shop):
    """It takes 15 digits. What it holds stays, until a value comes that it takes."""
    add_tenants(shop, "acme", "zen")

    def emit(quantity, *tenants):
        for tenant in tenants:
            shop.xadd(tenant=tenant, metric="user_seats", quantity=quantity)
        shop.must("meterline-aggregator", "--once")
        return [logfmt.pairs(row) for row in once(shop).stderr.splitlines() if "claim_refused" in row]

    assert emit("7", "acme") == [] and total(shop, "acme", "user_seats") == 7
    for value in ("1000000000000000", "123456789012345678.5", "-999999999999999.5"):
        told = emit(value, "acme", "zen")
        assert sorted((row["tenant"], row["metric"], row["value"]) for row in told) == [
            (tenant, "user_seats", value) for tenant in ("acme", "zen")]
        assert "claim_refused" not in once(shop).stderr     # Told once, unless it changes.
        assert shop.sql("SELECT tenant, reason, trim_scale(quantity)::text AS n FROM usage_unbilled ORDER BY 1") == [
            ("acme", "too_large", value), ("zen", "too_large", value)]
        assert states(shop) == {"sent": 1} and total(shop, "acme", "user_seats") == 7
        audit = shop.audit()
        assert audit.balanced and audit.attention.keys() == {"too_large"}, audit.text
        proof = json.loads(shop.must("meterctl", "explain", "--tenant", "acme", "--metric", "user_seats", "--period",
                                     "current", "--format", "json").stdout)["proof"]
        assert (proof["too_large"], proof["sent"], proof["difference"]) == (value, "0", "0")
    assert "too_large" in shop.must("meterctl", "status").stdout
    assert emit("999999999999999.5", "acme") == [] and total(shop, "acme", "user_seats") == 999999999999999
    assert emit("7", "acme", "zen") == [] and total(shop, "zen", "user_seats") == 7
    assert unbilled(shop) == {} and shop.audit().ok


def test_the_audit_finds_a_value_that_is_not_what_was_submitted(shop):
    add_tenants(shop, "acme")
    count(shop, "acme", "user_seats", "7")
    once(shop)
    assert "audit value" not in shop.meterctl("audit").stdout
    shop.sql("UPDATE usage_submissions SET quantity = 6")
    text = shop.meterctl("audit").stdout
    assert "audit value tenant=acme metric=user_seats" in text and "value=7 submitted=6" in text


# Late ones: a person decides.

def test_a_late_one_that_is_carried_is_billed_once_in_the_current_period(late):
    late.sql("UPDATE usage_submissions SET decision = 'carry', decided_at = now() WHERE state = 'late'")
    once(late)
    assert states(late) == {"void": 1, "sent": 2} and total(late, "acme", "api_calls") == 13
    row = late.sql("""SELECT s.*, p.period_start AS billed_in, o.period_start AS own
                        FROM usage_submissions s, billing_period('acme', s.usage_at) p, usage_submissions o
                       WHERE s.carried AND o.state = 'void'""")[0]
    assert row.period_start == row.own < row.billed_in and row.claim == 2 and int(row.quantity) == 9
    assert len({row.usage_at for row in claims(late)}) == 3
    # Neither period is claimed again; what comes later is judged by both.
    late.sql("UPDATE usage_totals SET version = nextval('usage_version')")
    late.sql("UPDATE usage_claims SET periods_version = -1")
    once(late)
    assert states(late) == {"void": 1, "sent": 2}
    assert billing(late, "api_calls")["sent"] == "13" and unbilled(late) == {}
    count(late, "acme", "api_calls", "10", at="now() - interval '5 days'")
    count(late, "acme", "api_calls", "6")
    once(late)
    assert states(late) == {"void": 1, "sent": 3, "late": 1} and total(late, "acme", "api_calls") == 15
    assert billing(late, "api_calls")["late"] == "1"


def test_several_carried_ones_each_get_a_minute_of_their_own(late):
    for quantity in ("11", "12", "10"):
        count(late, "acme", "api_calls", quantity, at="now() - interval '5 days'")
        once(late)
    late.sql("UPDATE usage_submissions SET decision = 'carry' WHERE state = 'late'")
    once(late)
    assert states(late) == {"void": 4, "sent": 5} and total(late, "acme", "api_calls") == 14
    numbers = [row.claim for row in late.sql("SELECT claim FROM usage_submissions WHERE carried ORDER BY claim")]
    assert numbers == [5, 6, 7, 8]
    assert billing(late, "api_calls")["sent"] == "14"


def test_what_cannot_be_carried_stays_late(late):
    """No current period, or a value that would replace the current one."""
    count(late, "acme", "user_seats", "9", at="now() - interval '5 days'")
    count(late, "acme", "user_seats", "3")
    once(late)
    late.sql("UPDATE usage_submissions SET decision = 'carry' WHERE state = 'late' AND metric = 'user_seats'")
    once(late)
    assert total(late, "acme", "user_seats") == 3
    late.sql("UPDATE usage_submissions SET decision = 'carry' WHERE state = 'late'")
    late.sql("UPDATE subscriptions SET ended_at = now() - interval '1 hour', status = 'canceled'")
    late.sql("SELECT refresh_billing_periods('acme')")
    once(late)
    assert states(late)["late"] == 2


def test_a_dropped_one_is_done_and_has_a_term_of_its_own(late):
    sink = late.start_sink(SINK_INTERVAL_S=1)
    late.wait_for(lambda: sink.metric("meterline_submissions", state="late") == 1)
    late.sql("UPDATE usage_submissions SET decision = 'drop' WHERE state = 'late'")
    late.wait_for(lambda: sink.metric("meterline_submissions", state="late") == 0)
    sink.term()
    pairs = billing(late, "api_calls")
    assert (pairs["dropped"], pairs["late"], pairs["sent"]) == ("9", "0", "4")
    count(late, "acme", "api_calls", "9.25", at="now() - interval '5 days'")
    once(late)
    pairs = billing(late, "api_calls")
    assert (pairs["rounded"], pairs["carried"], pairs["dropped"]) == ("0.25", "0", "9")


# What changes meanwhile.

def test_a_tenant_with_a_new_customer_is_billed_there_from_then_on(shop):
    add_tenants(shop, "acme", "other")
    count(shop, "acme", "api_calls", "10")
    count(shop, "acme", "user_seats", "7")
    once(shop)
    old, new = shop.tenants["acme"], shop.tenants["other"]
    shop.sql("DELETE FROM billing_customers WHERE tenant = 'other'")
    shop.sql("UPDATE billing_customers SET stripe_customer_id = %s WHERE tenant = 'acme'", new)
    once(shop)
    count(shop, "acme", "api_calls", "15")
    once(shop)
    by_customer = {(row["customer"], row["event_name"]): row["value"] for row in shop.sandbox.totals()}
    assert by_customer == {(old, "api_calls"): "10", (new, "api_calls"): "5",
                           (old, "user_seats"): "7", (new, "user_seats"): "7"}
    assert billing(shop, "api_calls")["sent"] == "15"
    once(shop)
    assert states(shop) == {"sent": 4}


def test_a_catalog_that_changes_between_claim_and_send(shop):
    """What was claimed goes out as it was; what comes later goes the new way, and values are told there too."""
    add_tenants(shop, "acme")
    shop.sandbox.bootstrap(meters=[{"event_name": "calls_v2", "formula": "sum"},
                                   {"event_name": "seats_v2", "formula": "last"}])
    count(shop, "acme", "api_calls", "10")
    count(shop, "acme", "user_seats", "7")
    sink = shop.start_sink(SINK_INTERVAL_S=1, STRIPE_API_BASE=NOWHERE)
    shop.wait_for(lambda: states(shop) == {"pending": 2})
    sink.term()
    body = shop.sql("SELECT identifier, body FROM usage_submissions ORDER BY identifier")
    shop.sql("UPDATE metrics SET stripe_event_name = 'calls_v2' WHERE metric = 'api_calls'")
    shop.sql("UPDATE metrics SET stripe_event_name = 'seats_v2' WHERE metric = 'user_seats'")
    count(shop, "acme", "api_calls", "15")
    once(shop)
    assert {name: total(shop, "acme", name) for name in ("api_calls", "calls_v2", "user_seats", "seats_v2")} == {
        "api_calls": 10, "calls_v2": 5, "user_seats": 7, "seats_v2": 7}
    assert set(body) <= set(shop.sql("SELECT identifier, body FROM usage_submissions"))
    assert billing(shop, "api_calls")["sent"] == "15"


def test_another_metric_or_tenant_in_the_place_of_one_is_billed_too(shop):
    """The first claim of each, at the same customer, meter and period: no two have one identifier."""
    add_tenants(shop, "acme", "other")
    count(shop, "acme", "api_calls", "10")
    count(shop, "other", "llm_tokens", "4")
    once(shop)
    shop.sql("UPDATE usage_submissions SET usage_at = usage_at - interval '5 minutes'")  # Time passes.
    shop.sql("UPDATE metrics SET stripe_event_name = 'calls_v2' WHERE metric = 'api_calls'")
    shop.sql("UPDATE metrics SET stripe_event_name = 'api_calls' WHERE metric = 'agent_executions'")
    shop.sql("UPDATE billing_customers SET tenant = 'heir' WHERE tenant = 'other'")
    count(shop, "acme", "agent_executions", "3")
    count(shop, "heir", "llm_tokens", "2")
    done = once(shop)
    assert "claim_refused" not in done.stderr and states(shop) == {"sent": 4}
    assert total(shop, "acme", "api_calls") == 13 and total(shop, "other", "llm_tokens") == 6


def test_a_metric_that_is_billed_no_more_is_claimed_no_more(shop):
    add_tenants(shop, "acme")
    count(shop, "acme", "api_calls", "10")
    sink = shop.start_sink(SINK_INTERVAL_S=1, STRIPE_API_BASE=NOWHERE)
    shop.wait_for(lambda: states(shop) == {"pending": 1})
    sink.term()
    shop.sql("UPDATE metrics SET transport = 'none' WHERE metric = 'api_calls'")
    count(shop, "acme", "api_calls", "15")
    once(shop)
    assert total(shop, "acme", "api_calls") == 10 and unbilled(shop) == {"not_billed": "5"}


def test_an_accepted_restore_opens_an_era_of_identifiers(shop):
    """The same claim again, in another era: not mistaken for the one that was lost."""
    add_tenants(shop, "acme")
    count(shop, "acme", "llm_tokens", "5")
    once(shop)
    before = claims(shop, "identifier")[0].identifier
    shop.sql("TRUNCATE usage_submissions, usage_claims")
    shop.sql("UPDATE ledger_state SET value = 1 WHERE name = 'claim_era'")
    once(shop)
    assert claims(shop, "identifier")[0].identifier != before
    assert states(shop) == {"sent": 1} and total(shop, "acme", "llm_tokens") == 10


# Many at once.

def count_many(line, tenants, quantity):
    """Totals of so many tenants, some pages of them, whose customers nobody knows at Stripe."""
    line.sql("""INSERT INTO billing_customers (tenant, stripe_customer_id)
                SELECT 't' || i, 'cus_' || md5(i::text) FROM generate_series(1, %s) i ON CONFLICT DO NOTHING""", tenants)
    line.sql("""INSERT INTO usage_totals AS t (tenant, metric, period_start, period_end, quantity, version, last_ms,
                    last_entry)
                SELECT 't' || i, m, p.period_start, p.period_end, i + %s, nextval('usage_version'), 0, ''
                  FROM generate_series(1, %s) i, unnest('{api_calls,storage_gb}'::text[]) m,
                       billing_period('none', now()) p
                ON CONFLICT (tenant, metric, period_start) DO UPDATE
                   SET quantity = excluded.quantity, version = excluded.version""", quantity, tenants)


def unclaimed(line):
    return line.value("""SELECT count(*) FROM usage_totals t LEFT JOIN usage_claims c USING (tenant, metric, period_start)
                          WHERE t.version > coalesce(c.version, -1)""")


def test_two_sinks_claim_many_pages_side_by_side_and_each_total_once(shop):
    """Meanwhile one tenant after the other is asked for, and something becomes void."""
    sinks = [shop.start_sink(SINK_INTERVAL_S=1, STRIPE_API_BASE=NOWHERE).wait_ready() for _ in range(2)]
    for quantity in (1000, 2000, 1500):
        count_many(shop, 12000, quantity)
        for i in range(20):
            shop.sql("SELECT request_sink('t' || %s, 'settle')", 600 * i + 1)
            shop.sql("SELECT void_submission(identifier, '{pending}', 'a test') FROM usage_submissions "
                     "WHERE tenant = 't' || %s AND state = 'pending' LIMIT 1", 500 * i + 7)
        shop.wait_for(lambda: unclaimed(shop) == 0, 90)
    wrong = shop.sql("""
        SELECT tenant, metric FROM usage_totals t JOIN metrics m USING (metric)
         CROSS JOIN LATERAL sum_submissions(tenant, metric, period_start, period_end) h
         WHERE h.claimed <> t.quantity""")
    assert wrong == [] and not any(sink.logs("claim_refused") for sink in sinks)
    for sink in sinks:
        sink.term()
    assert shop.value("SELECT count(*) FROM usage_unbilled") == 0


def test_one_refused_total_among_many_pages(shop):
    count_many(shop, 12000, 0)
    sink = shop.start_sink(SINK_INTERVAL_S=1, STRIPE_API_BASE=NOWHERE)
    shop.wait_for(lambda: unclaimed(shop) == 0, 60)
    sink.term()
    shop.sql("UPDATE usage_submissions SET tenant = 'former' WHERE tenant = 't6000'")
    shop.sql("DELETE FROM usage_claims WHERE tenant = 't6000'")
    count_many(shop, 12000, 5)
    sink = shop.start_sink(SINK_INTERVAL_S=1, STRIPE_API_BASE=NOWHERE)
    refused = sink.wait_log("claim_refused", timeout=60)
    assert refused["tenant"] == "t6000" and refused["sqlstate"] == "23505"
    shop.wait_for(lambda: unclaimed(shop) == 0, 60)
    assert {record["tenant"] for record in sink.logs("claim_refused")} == {"t6000"}
    sink.term()


# Near a period's end.

def test_a_tenant_whose_invoice_was_begun_is_claimed_at_once(shop):
    add_tenants(shop, "acme", "other")
    sink = shop.start_sink(SINK_INTERVAL_S=86400).wait_ready()
    count(shop, "acme", "api_calls", "3")
    count(shop, "other", "api_calls", "4")
    shop.sql("SELECT request_sink('acme', 'settle')")
    shop.wait_for(is_sent(shop, 1))
    sink.wait_log("claimed_before_cycle", tenants=1, claimed=1)
    assert total(shop, "acme", "api_calls") == 3 and total(shop, "other", "api_calls") == 0
    shop.wait_for(lambda: not shop.sql("SELECT FROM sink_requests"))
    sink.term()


def test_a_request_that_was_renewed_stays(line):
    line.sql("SELECT request_sink('acme', 'settle')")
    seen = line.value("SELECT requested_at FROM sink_requests")
    line.sql("SELECT request_sink('acme', 'settle')")
    forget = (ROOT / "sink" / "sql" / "forget_claim_requests.sql").read_text(encoding="utf-8")
    line.sql("PREPARE forget AS " + forget)
    line.sql("EXECUTE forget (ARRAY['acme'], ARRAY[%s])", seen)
    assert line.value("SELECT count(*) FROM sink_requests") == 1
    line.sql("EXECUTE forget (ARRAY['acme'], ARRAY[%s])", line.value("SELECT requested_at FROM sink_requests"))
    assert line.value("SELECT count(*) FROM sink_requests") == 0


def test_a_request_waits_while_sinks_are_held(shop):
    add_tenants(shop, "acme")
    shop.sql("UPDATE ledger_state SET value = 1 WHERE name = 'sink_hold'")
    sink = shop.start_sink(SINK_INTERVAL_S=86400)
    sink.wait_log("sinks_held")
    count(shop, "acme", "api_calls", "3")
    shop.sql("SELECT request_sink('acme', 'settle')")
    seen = shop.value("SELECT requested_at FROM sink_requests")
    shop.wait_for(lambda: shop.value("SELECT now() > %s::timestamptz + interval '2 s'", seen))
    assert states(shop) == {} and shop.value("SELECT count(*) FROM sink_requests") == 1
    shop.sql("UPDATE ledger_state SET value = 0 WHERE name = 'sink_hold'")
    shop.wait_for(is_sent(shop, 1))
    sink.term()


def emit_in_1970(line, metric):
    """A service that gives ids of its own and counts from one: without a `ts`, that is when it was used."""
    add_tenants(line, "acme")
    line.start_aggregator()
    for n in (1, 2, 3):
        line.xadd(entry_id=f"{n * 86_400_000}-{n}", tenant="acme", metric=metric, quantity=n)
    line.wait_for(lambda: line.value("SELECT sum(events) FROM usage_aggregates") == 3, 20, "they are counted")


def test_usage_of_entry_ids_of_1970_is_late_and_does_not_wait_for_ever(shop):
    emit_in_1970(shop, "api_calls")
    assert shop.value("SELECT max(period_end) FROM usage_totals").year == 1970
    for _ in range(2):
        once(shop)
        assert states(shop) == {"late": 1} and not unbilled(shop)
    assert shop.value("SELECT quantity FROM usage_submissions") == 6
    assert total(shop, "acme", "api_calls") in (0, None)
    assert "late=6" in shop.meterctl("audit").stdout
    shop.must("meterctl", "late", "drop", "--all", "--yes")
    assert shop.audit().ok


def test_seats_of_1970_are_carried_until_today_and_late_where_nobody_bills_them_any_more(shop):
    emit_in_1970(shop, "user_seats")
    once(shop)
    assert set(states(shop)) == {"late", "sent"} and not unbilled(shop)
    oldest = shop.value("SELECT min(usage_at) FROM usage_submissions WHERE state = 'sent'")
    assert shop.value("SELECT %s > now() - interval '34 days 1 hour'", oldest)
    assert total(shop, "acme", "user_seats") == 3


@pytest.mark.parametrize("ends", ["now() - interval '10 minutes'", "now() + interval '3 minutes'"])
def test_usage_near_a_periods_end_does_not_wait_for_the_next_cycle(shop, ends):
    add_tenants(shop, "acme", "other", days=60)
    subscribe(shop, "acme", f"{ends} - interval '1 month'")
    subscribe(shop, "other", "now() - interval '2 days'", name="sub_2")
    sink = shop.start_sink(SINK_INTERVAL_S=86400 if "-" in ends[:8] else 300).wait_ready()
    count(shop, "acme", "api_calls", "3", at="now() - interval '30 minutes'")
    count(shop, "other", "api_calls", "4")
    sink.wait_log("period_ends_claimed", tenants=1, claimed=1, timeout=20)
    shop.wait_for(is_sent(shop, 1))
    assert total(shop, "acme", "api_calls") == 3
    sink.term()


def test_a_priority_claim_does_not_make_the_cycle_skip(shop):
    """A run of a few tenants holds the lock of claims when the tick comes: the cycle waits for it."""
    add_tenants(shop, "acme")
    count(shop, "acme", "api_calls", "3")
    with shop.postgres.connect() as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtext('meterline claims'))")
        sink = shop.start_sink(SINK_INTERVAL_S=3600)
        sink.wait_ready()
        once_too = shop.start("sink", args=["--once"], label="once")
        shop.wait_for(lambda: shop.value("SELECT count(*) FROM pg_locks "
                                         "WHERE locktype = 'advisory' AND NOT granted"))
        assert states(shop) == {}
        cursor.execute("SELECT pg_advisory_unlock(hashtext('meterline claims'))")
    assert once_too.wait_exit() == 0 and states(shop) == {"sent": 1}
    sink.term()


# --dry-run.

def dry_run(line, **settings):
    done = line.must("meterline-sink", "--dry-run", **settings)
    rows = done.stdout.splitlines()
    return [logfmt.pairs(row) for row in rows[:-1]], logfmt.pairs(rows[-1])


def test_a_dry_run_tells_all_and_changes_nothing(late):
    count(late, "acme", "api_calls", "9", at="now()")
    count(late, "acme", "user_seats", "7")
    count(late, "acme", "llm_tokens", "2000000000000007")
    late.sql("UPDATE usage_submissions SET decision = 'carry' WHERE state = 'late'")
    tables = ("usage_submissions", "usage_claims", "sink_requests")
    before = [late.sql(f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in tables]
    asked = len(late.sandbox.requests())
    rows, summary = dry_run(late)
    assert [late.sql(f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in tables] == before
    assert len(late.sandbox.requests()) == asked
    assert summary == {"submissions": "6", "claimed": "6", "pending": "6", "held": "0", "late": "0", "meter_held": "0"}
    assert [(row["metric"], row["quantity"]) for row in rows] == [
        ("api_calls", "9"), ("api_calls", "5"), ("llm_tokens", "999999999999999"),
        ("llm_tokens", "999999999999999"), ("llm_tokens", "9"), ("user_seats", "7")]
    for row in rows:
        assert (row["tenant"], row["customer"], row["transport"], row["state"]) == (
            "acme", late.tenants["acme"], "meter_events", "pending")
        assert row["event_name"] == row["metric"] and row["period"] < row["usage_at"]
    newest = late.value("SELECT max(created_at) FROM usage_submissions")
    once(late)
    made = late.sql("""SELECT metric, trim_scale(quantity)::text FROM usage_submissions
                        WHERE created_at > %s ORDER BY tenant, metric, period_start, claim""", newest)
    assert made == [(row["metric"], row["quantity"]) for row in rows]


def test_a_dry_run_shows_what_waits_and_what_is_late(shop):
    add_tenants(shop, "acme")
    subscribe(shop, "acme", "now() - interval '1 month' - interval '3 days'")
    finalize(shop)
    count(shop, "acme", "api_calls", "4")
    sink = shop.start_sink(SINK_INTERVAL_S=1, STRIPE_API_BASE=NOWHERE)
    shop.wait_for(lambda: states(shop) == {"pending": 1})
    sink.term()
    count(shop, "acme", "api_calls", "9", at="now() - interval '5 days'")
    rows, summary = dry_run(shop)
    assert [(row["quantity"], row["state"]) for row in rows] == [("9", "late"), ("4", "pending")]
    assert summary == {"submissions": "2", "claimed": "1", "pending": "1", "held": "0", "late": "1", "meter_held": "0"}


def test_a_dry_run_waits_for_another_claim(shop):
    add_tenants(shop, "a tenant")
    count(shop, "a tenant", "api_calls", "3")
    with shop.postgres.connect() as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtext('meterline claims'))")
        stage = shop.start("sink", args=["--dry-run"], label="dry")
        shop.wait_for(lambda: shop.value("SELECT count(*) FROM pg_locks "
                                         "WHERE locktype = 'advisory' AND NOT granted"))
        cursor.execute("SELECT pg_advisory_unlock(hashtext('meterline claims'))")
    assert stage.wait_exit() == 0
    rows, _ = dry_run(shop)
    assert rows[0]["tenant"] == "a tenant" and states(shop) == {}


def test_a_dry_run_that_nobody_reads_keeps_no_claim_waiting(shop):
    """Piped into a pager: more than a pipe holds is printed, and not taken yet."""
    shop.sql("""INSERT INTO billing_customers (tenant, stripe_customer_id)
                SELECT 'tenant ' || n, 'cus_' || n FROM generate_series(1, 2000) n""")
    shop.sql("""INSERT INTO usage_totals (tenant, metric, period_start, period_end, quantity, version, last_ms,
                    last_entry)
                SELECT b.tenant, 'api_calls', p.period_start, p.period_end, 5, nextval('usage_version'), 0, ''
                  FROM billing_customers b, billing_period(b.tenant, now()) p""")
    stage = shop.start("sink", args=["--dry-run"], label="dry", popen={"stdout": subprocess.PIPE})
    assert stage.process.stdout.readline().startswith(b"would_send tenant=")
    with shop.postgres.connect() as other, other.cursor() as cursor:
        cursor.execute("SET lock_timeout = '10s'; SELECT pg_advisory_lock(hashtext('meterline claims'))")
    assert stage.process.poll() is None
    told = stage.process.stdout.read().splitlines()
    assert stage.wait_exit() == 0 and len(told) == 2000
    assert logfmt.pairs(told[-1].decode())["claimed"] == "2000"
