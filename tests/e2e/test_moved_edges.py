"""Billing periods whose edges move while what was claimed of them is held, as nobody compared it with Stripe since a
restore: each unit stands in one claim at every moment."""

import pytest

from line import logfmt
from support.sink import add_tenants, once

HOLD = "INSERT INTO ledger_restores (restored_at, held_from) VALUES (now() - interval '2 hours', now())"


def use(line, units, minutes_ago, metric="api_calls", tenant="acme"):
    """So many more, used then, counted."""
    then = line.value("SELECT (extract(epoch FROM now() - make_interval(mins => %s)) * 1000)::bigint", minutes_ago)
    line.xadd(tenant=tenant, metric=metric, id=f"{metric} {minutes_ago} {units}", quantity=units, ts=then)
    line.must("aggregator", "--once")


def subscribe(line, minutes_ago, name="sub_1", refresh=True):
    """A subscription that began then, as webhookd stores it."""
    line.sql("""
        INSERT INTO subscriptions (stripe_subscription_id, tenant, stripe_customer_id, status, current_period_start,
                                   current_period_end, billing_cycle_anchor, started_at)
        SELECT %s, 'acme', %s, 'active', s, s + interval '1 month', s, s
          FROM (SELECT minute_of(now()) - make_interval(mins => %s) AS s) x""",
             name, line.tenants["acme"], minutes_ago)
    if refresh:
        line.sql("SELECT refresh_billing_periods('acme')")


def refuse(line):
    line.sandbox.fault("status", path="/v1/billing/meter_events", status=400)


def balanced(line):
    """The audit finds nothing wrong, and each claim is what its submissions hold."""
    audit = line.audit()
    assert audit.balanced, audit.text
    for row in audit.text.splitlines():
        if row.startswith("audit billing "):
            assert logfmt.pairs(row)["difference"] == "0", row
    assert line.sql("""
        SELECT c.* FROM usage_claims c JOIN usage_totals t USING (tenant, metric, period_start)
                   JOIN metrics m USING (metric)
         CROSS JOIN LATERAL sum_submissions(c.tenant, c.metric, c.period_start, t.period_end) s
         WHERE m.aggregation IN ('sum', 'count') AND c.claimed <> s.claimed + coalesce(s.held, 0)""") == []


@pytest.mark.parametrize("sent, failed", [(True, True), (True, False), (False, True)])
def test_a_new_subscription_while_the_month_is_held(shop, sent, failed):
    add_tenants(shop, "acme")
    use(shop, 40, 90)
    if sent:
        once(shop)
    if failed:
        refuse(shop)
        use(shop, 16, 89)
        shop.run("meterline-sink", "--once")
        shop.sandbox.clear_faults()
    shop.sql(HOLD)
    balanced(shop)
    subscribe(shop, 60)
    balanced(shop)
    use(shop, 7, 10)
    balanced(shop)
    shop.run("meterline-sink", "--once")
    balanced(shop)


@pytest.mark.parametrize("at_once", [True, False])
def test_two_edges_that_move_and_go_away_again(shop, at_once):
    add_tenants(shop, "acme")
    use(shop, 40, 90)
    once(shop)
    use(shop, 3, 20)
    once(shop)
    shop.sql(HOLD)
    subscribe(shop, 60, refresh=not at_once)
    if not at_once:
        balanced(shop)
    subscribe(shop, 40, "sub_2")
    balanced(shop)
    use(shop, 7, 10)
    use(shop, 5, 50)
    use(shop, 2, 95)
    balanced(shop)
    shop.run("meterline-sink", "--once")
    balanced(shop)
    for name in ("sub_1", "sub_2"):
        shop.sql("UPDATE subscriptions SET status = 'incomplete_expired' WHERE stripe_subscription_id = %s", name)
        shop.sql("DELETE FROM billing_periods WHERE stripe_subscription_id = %s", name)
        shop.sql("SELECT refresh_billing_periods('acme')")
        balanced(shop)
        shop.run("meterline-sink", "--once")
        balanced(shop)
    shop.sql("DELETE FROM ledger_restores")
    once(shop)
    balanced(shop)
    assert shop.value("SELECT sum(quantity) FROM usage_submissions WHERE state <> 'void'") == 57


@pytest.mark.parametrize("metric", ["storage_gb", "user_seats"])
def test_a_value_under_an_edge_that_moves_while_it_is_held(shop, metric):
    add_tenants(shop, "acme")
    use(shop, 40, 90, metric)
    once(shop)
    use(shop, 30, 20, metric)
    once(shop)
    shop.sql(HOLD)
    subscribe(shop, 60)
    balanced(shop)
    use(shop, 20, 10, metric)
    balanced(shop)
    shop.run("meterline-sink", "--once")
    balanced(shop)
    subscribe(shop, 15, "sub_2")
    balanced(shop)
    shop.run("meterline-sink", "--once")
    balanced(shop)


def test_what_failed_is_given_back_after_its_edge_moved(shop):
    add_tenants(shop, "acme")
    refuse(shop)
    use(shop, 40, 90)
    shop.run("meterline-sink", "--once")
    shop.sandbox.clear_faults()
    shop.sql(HOLD)
    subscribe(shop, 60)
    shop.must("meterctl", "submissions", "retry", "--state", "failed", "--yes")
    balanced(shop)
    use(shop, 7, 10)
    shop.run("meterline-sink", "--once")
    balanced(shop)
    assert shop.sandbox.total(shop.tenants["acme"], "api_calls") == 7


@pytest.mark.parametrize("decision", ["carry", "drop"])
@pytest.mark.parametrize("held", [True, False])
def test_what_is_late_is_decided_on_after_its_edge_moved(shop, decision, held):
    add_tenants(shop, "acme")
    shop.sandbox.fault("status", path="/v1/billing/meter_events", status=500)
    use(shop, 40, 90)
    shop.run("meterline-sink", "--once")
    shop.sandbox.clear_faults()
    shop.sql("UPDATE usage_submissions SET state = 'late'")
    if held:
        shop.sql(HOLD)
    subscribe(shop, 60)
    balanced(shop)
    shop.must("meterctl", "late", decision, "--all", "--yes")
    balanced(shop)
    use(shop, 7, 10)
    shop.run("meterline-sink", "--once")
    balanced(shop)
    subscribe(shop, 30, "sub_2")
    balanced(shop)
    shop.run("meterline-sink", "--once")
    balanced(shop)
