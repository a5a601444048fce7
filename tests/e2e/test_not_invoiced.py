"""Usage that was sent, and that no final invoice bills within three days, is named everywhere, with what it costs."""

import contextlib
import decimal
import json

import pytest

from line.wait import wait_until

PERIODS = {"old": ("-40 days", "-10 days"), "new": ("-32 days", "-2 days")}


@pytest.fixture(name="billed")
def billed_fixture(line):
    """A tenant whose usage of a period was sent; another one's invoice was heard of long before."""
    line.sql("INSERT INTO invoices (stripe_invoice_id, tenant, stripe_customer_id, status, currency, amount_due_minor,"
             " amount_paid_minor, created_at) VALUES ('in_0', 'zen', 'cus_0', 'paid', 'usd', 0, 0, now() - interval '90 days')")
    return line


def add_period(line, tenant, which="old", plan="standard", price=None, quantity=250_000, metric="api_calls"):
    start, end = (f"date_trunc('minute', now()) + interval '{edge}'" for edge in PERIODS[which])
    line.sql(f"""
        INSERT INTO subscriptions (stripe_subscription_id, tenant, stripe_customer_id, plan, status, current_period_start,
                                   current_period_end, billing_cycle_anchor, started_at, ended_at)
        VALUES ('sub_{tenant}', '{tenant}', 'cus_{tenant}', '{plan}', 'canceled', {start}, {end}, {start}, {start}, {end})
            ON CONFLICT DO NOTHING;
        INSERT INTO billing_periods VALUES ('{tenant}', {start}, {end}, 'sub_{tenant}') ON CONFLICT DO NOTHING;
        INSERT INTO usage_claims (tenant, metric, period_start, version, claimed, claims)
        VALUES ('{tenant}', '{metric}', {start}, 1, {quantity}, 2);
        INSERT INTO usage_submissions (identifier, tenant, metric, transport, stripe_customer_id, event_name, period_start, claim,
                                       usage_at, quantity, body, state, sent_at)
        SELECT '{tenant}{metric}' || n, '{tenant}', '{metric}', 'meter_events', 'cus_{tenant}', '{metric}', {start}, n,
               {start} + n * interval '1 day', {quantity} / 2, '', 'sent', {start} FROM generate_series(1, 2) n""")
    if price:
        line.sql("INSERT INTO stripe_prices (stripe_price_id, currency, unit_amount, billing_scheme, tiers_mode, tiers, usage_type)"
                 " VALUES (%s, 'usd', %s, %s, %s, %s, 'metered')", "price_" + tenant, price.get("unit_amount"),
                 "tiered" if "tiers" in price else "per_unit", "graduated" if "tiers" in price else None,
                 json.dumps(price["tiers"]) if "tiers" in price else None)
        line.sql("INSERT INTO subscription_items (stripe_subscription_item_id, stripe_subscription_id, tenant, metric,"
                 " stripe_price_id) VALUES (%s, %s, %s, %s, %s)", "si_" + tenant, "sub_" + tenant, tenant, metric, "price_" + tenant)


def add_invoice(line, tenant, status="open", final=True, end="current_period_end"):
    line.sql(f"""
        INSERT INTO invoices (stripe_invoice_id, tenant, stripe_customer_id, stripe_subscription_id, status, currency,
                              amount_due_minor, amount_paid_minor, created_at, period_start, period_end, finalized_at)
        SELECT 'in_{tenant}', tenant, stripe_customer_id, stripe_subscription_id, '{status}', 'usd', 1, 0, {end},
               current_period_start + interval '7 s', {end} + interval '7 s', {'now()' if final else 'NULL'}
          FROM subscriptions WHERE tenant = '{tenant}'
        ON CONFLICT (stripe_invoice_id) DO UPDATE SET status = excluded.status, finalized_at = excluded.finalized_at""")


def found(line):
    return {row.tenant: (row.quantity, row.amount_minor, row.currency) for row in line.sql(
        "SELECT tenant, trim_scale(quantity) AS quantity, trim_scale(amount_minor) AS amount_minor, currency"
        " FROM usage_not_invoiced")}


def test_what_it_costs_exactly(billed):
    """By the price of the item, with its tiers, or else by the plan's overage; above what is included."""
    add_period(billed, "plan")
    add_period(billed, "included", quantity=90_000)
    add_period(billed, "unit", price={"unit_amount": "0.000000000001"})
    add_period(billed, "tiers", price={"tiers": [{"up_to": 100_000, "unit_amount": 0},
                                                 {"up_to": None, "unit_amount_decimal": "0.0333", "flat_amount": 5}]})
    add_period(billed, "free", plan="free")
    assert found(billed) == {"plan": (250_000, 15_000, "usd"), "included": (90_000, 0, "usd"),
                             "unit": (250_000, decimal.Decimal("0.00000025"), "usd"),
                             "tiers": (250_000, 5000, "usd"), "free": (250_000, None, "usd")}


def test_only_an_invoice_that_can_change_no_more_bills_it(billed):
    add_period(billed, "acme")
    add_period(billed, "late", which="new")
    assert list(found(billed)) == ["acme"], "three days are not over"
    for status, final, is_billed in (("draft", False, False), ("open", True, True), ("void", True, False), ("paid", True, True),
                                     ("deleted", False, False), ("uncollectible", True, True)):
        add_invoice(billed, "acme", status, final)
        assert (found(billed) == {}) == is_billed, status
    billed.sql("DELETE FROM invoices WHERE stripe_invoice_id = 'in_acme'")
    add_invoice(billed, "acme", end="current_period_start")
    assert list(found(billed)) == ["acme"], "that of another period"
    billed.sql("UPDATE usage_submissions SET state = 'failed'")
    assert found(billed) == {}, "nothing of it was sent"


def test_it_is_named_everywhere_and_told_once(billed):
    notifier = billed.start_notifier().wait_ready()
    notifier.close()
    add_period(billed, "acme")
    done = billed.meterctl("audit", "--json")
    assert json.loads(done.stdout)["attention"]["not_invoiced"] == "250000"
    shown = json.loads(billed.meterctl("status", "--json").stdout)["unbilled"]
    assert [(row["reason"], row["metric"], row["tenants"], str(row["quantity"])) for row in shown] == [
        ("not_invoiced", "api_calls", 1, "250000")]
    for _ in range(2):
        notifier = billed.start_notifier().wait_ready()
        wait_until(lambda: notifier.metric("meterline_not_invoiced_units", metric="api_calls") == 250_000, 20, "it is counted")
        notifier.close()
    told = billed.sql("SELECT tenant, data::text AS data FROM outgoing_messages WHERE kind = 'usage_not_invoiced'")
    assert len(told) == 1
    data = json.loads(told[0].data)
    assert (told[0].tenant, data["metric"], data["quantity"], data["amount_minor"], data["currency"], data["subscription"]) == (
        "acme", "api_calls", "250000", "15000", "usd", "sub_acme")


@pytest.mark.parametrize("is_analyzed", [False, True])
def test_what_was_sent_is_not_gone_through_where_there_is_an_invoice(billed, is_analyzed):
    """It is asked every few minutes, of all tenants, each of whom may have sent a thousand times."""
    for n in range(30):
        add_period(billed, f"t{n}")
        add_invoice(billed, f"t{n}")
    add_period(billed, "acme")
    if is_analyzed:
        billed.sql("ANALYZE")
    with contextlib.closing(billed.postgres.connect()) as conn, conn.cursor() as cursor:
        conn.autocommit = False
        cursor.execute("SET LOCAL track_functions = 'pl'")
        cursor.execute("SELECT tenant FROM usage_not_invoiced WHERE period_end > now() - interval '62 days'")
        assert [row.tenant for row in cursor.fetchall()] == ["acme"]
        cursor.execute("SELECT calls FROM pg_stat_xact_user_functions WHERE funcname = 'submission_period'")
        assert [row.calls for row in cursor.fetchall()] == [2], "of the one that has none"


def test_an_invoice_that_was_paid_by_no_payment_is_told_after_an_hour(billed):
    """Marked as paid outside Stripe; not where a payment is known, named or by its amount."""
    billed.sql("""
        INSERT INTO invoices (stripe_invoice_id, tenant, stripe_customer_id, status, currency, amount_due_minor, amount_paid_minor,
                              created_at, paid_at, updated_at)
        SELECT 'in_' || n, 't' || n, 'cus_1', 'paid', 'usd', 500, 500, now(), now() - interval '2 hours', now() - interval '2 hours'
          FROM generate_series(1, 4) n;
        UPDATE invoices SET paid_at = now() - interval '30 minutes' WHERE stripe_invoice_id = 'in_4';
        INSERT INTO payments (stripe_payment_id, tenant, stripe_customer_id, stripe_invoice_id, status, currency, amount_minor, paid_at)
        VALUES ('pi_1', 't1', 'cus_1', 'in_1', 'succeeded', 'usd', 500, now()),
               ('pi_2', 't2', 'cus_1', NULL, 'succeeded', 'usd', 500, now() - interval '2 hours')""")
    for _ in range(2):
        billed.value("SELECT tell_other_payments()")
    rows = billed.sql("SELECT tenant, data ->> 'invoice' AS invoice FROM outgoing_messages WHERE kind = 'payment_received'")
    assert [tuple(row) for row in rows] == [("t3", "in_3")]
