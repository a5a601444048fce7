"""Where claims meet an edge: a period's last minute, a customer that gets another tenant, a hold that comes meanwhile."""

import pytest

from support.sink import add_tenants, age_sent, count, hold, once, states, subscribe, total, unbilled

CLAIMS = "hashtext('meterline claims')"


def give_customer(line, tenant, customer):
    line.sql("UPDATE billing_customers SET stripe_customer_id = %s WHERE tenant = %s", customer, tenant)


def swap_customers(line):
    one, other = (line.value("SELECT stripe_customer_id FROM billing_customers WHERE tenant = %s", tenant)
                  for tenant in ("acme", "zen"))
    give_customer(line, "acme", "between")
    give_customer(line, "zen", one)
    give_customer(line, "acme", other)


@pytest.mark.long
def test_a_value_that_changes_until_the_end_of_its_period_is_billed(shop):
    add_tenants(shop, "acme")
    shop.wait_for(lambda: shop.value("SELECT extract(second FROM now()) < 15"), timeout=60)
    subscribe(shop, "acme", "minute_of(now()) + interval '1 minute' - interval '1 month'")
    for quantity in ("7", "8", "9", "10", "11"):
        count(shop, "acme", "user_seats", quantity)
        once(shop)
    end = shop.value("SELECT current_period_end FROM subscriptions")
    shop.wait_for(lambda: shop.value("SELECT now() > %s", end), timeout=70)
    once(shop)
    assert total(shop, "acme", "user_seats") == 11 and unbilled(shop) == {}


def test_an_heirs_usage_of_a_period_that_is_over_finds_a_minute(shop):
    add_tenants(shop, "acme")
    past = "date_trunc('month', now()) - interval '2 days'"
    count(shop, "acme", "llm_tokens", "4", at=past)
    once(shop)
    shop.sql("UPDATE billing_customers SET tenant = 'heir' WHERE tenant = 'acme'")
    count(shop, "heir", "llm_tokens", "2", at=past)
    assert "claim_refused" not in once(shop).stderr
    assert total(shop, "acme", "llm_tokens") == 6


@pytest.mark.long
def test_what_two_tenants_sent_of_one_customer_is_compared_together(shop):
    add_tenants(shop, "acme")
    count(shop, "acme", "llm_tokens", "4")
    once(shop)
    shop.wait_for(lambda: shop.value("SELECT minute_of(now()) > max(usage_at) FROM usage_submissions"), timeout=70)
    shop.sql("UPDATE billing_customers SET tenant = 'heir' WHERE tenant = 'acme'")
    count(shop, "heir", "llm_tokens", "2")
    once(shop)
    age_sent(shop)
    fast = {"SINK_RECONCILE_RATE_PER_S": 1000}
    assert shop.meterctl("reconcile", **fast).returncode == 0
    hold(shop)
    assert shop.meterctl("restore", "accept", "--yes", **fast).returncode == 0
    assert states(shop) == {"sent": 2}


def test_customers_that_change_places_and_back_have_the_values_of_their_tenants(shop):
    add_tenants(shop, "acme", "zen")
    count(shop, "acme", "user_seats", "7")
    count(shop, "zen", "user_seats", "20")
    once(shop)
    for held in ((20, 7), (7, 20)):
        swap_customers(shop)
        shop.wait_for(lambda: once(shop) and (  # A minute may be refused, and the next one taken.
            total(shop, "acme", "user_seats"), total(shop, "zen", "user_seats")) == held, timeout=60)  # noqa: B023


def use_seats(line, *values):
    """Each is counted and claimed: in a minute of its own."""
    for value in values:
        line.xadd(tenant="acme", metric="user_seats", id=str(value), quantity=value)
        line.must("aggregator", "--once")
        once(line)


def give_new_customer(line):
    give_customer(line, "acme", line.sandbox.bootstrap(meters=[], tenants=["acme-2"])["tenants"]["acme-2"]["customer"])


def test_a_value_that_waits_for_a_minute_at_a_new_customer_is_balanced(shop):
    add_tenants(shop, "acme")
    use_seats(shop, 40, 41, 42, 43, 44)
    give_new_customer(shop)
    assert shop.audit().balanced
    once(shop)
    assert shop.audit().balanced, shop.audit().text


def test_a_value_that_is_not_billed_at_a_new_customer_is_balanced(shop):
    """Of a subscription that is over, webhookd heard later: what follows is billed by none."""
    add_tenants(shop, "acme")
    use_seats(shop, 40)
    subscribe(shop, "acme", "now() - interval '70 days'", ended="now() - interval '40 days'", status="canceled")
    give_new_customer(shop)
    assert shop.audit().balanced
    once(shop)
    assert shop.audit().balanced, shop.audit().text


def test_a_hold_that_comes_while_claims_are_waited_for_is_obeyed(shop):
    tenants = ["acme", "zen", "t1", "t2", "t3"]
    add_tenants(shop, *tenants)
    for tenant in tenants:
        count(shop, tenant, "api_calls", "3")
    with shop.postgres.connect() as other, other.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_lock({CLAIMS})")
        sink = shop.start_sink(SINK_INTERVAL_S=3600)
        once_too = shop.start("sink", args=["--once"], label="once")
        shop.wait_for(lambda: shop.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == 2)
        hold(shop)
        cursor.execute(f"SELECT pg_advisory_unlock({CLAIMS})")
    assert once_too.wait_exit() == 1 and states(shop) == {}
    sink.term()
