"""What is taken back is subtracted where its units lie: Stripe bills a meter that is below zero as 0, so that a
customer or a meter that holds nothing is never sent what is negative. Stripe's own totals tell."""

import json

import pytest

from support.sink import EVENTS, add_tenants, billing, claims, count, finalize, once, states, subscribe, total


@pytest.fixture
def used(shop):     # noqa: F811
    """acme has sent 100 calls."""
    add_tenants(shop, "acme", "other")
    shop.sql("DELETE FROM billing_customers WHERE tenant = 'other'")
    shop.sandbox.bootstrap(meters=[{"event_name": "calls_v2", "formula": "sum"}])
    use(shop, 100)
    return shop


def use(line, quantity):
    """So many in all."""
    count(line, "acme", "api_calls", str(quantity))
    once(line)


def change_customer(line):
    line.sql("UPDATE billing_customers SET stripe_customer_id = %s, deleted_at = NULL WHERE tenant = 'acme'",
             line.tenants["other"])


def rename_meter(line):
    line.sql("UPDATE metrics SET stripe_event_name = 'calls_v2' WHERE metric = 'api_calls'")


def held_there(line):
    """(what the place of before holds, what that of now holds)"""
    renamed = line.value("SELECT stripe_event_name = 'calls_v2' FROM metrics WHERE metric = 'api_calls'")
    now = ("acme", "calls_v2") if renamed else ("other", "api_calls")
    return total(line, "acme", "api_calls"), total(line, *now)


def assert_books(line):
    """No meter of Stripe's was ever below zero, and the audit adds up."""
    sums = {}
    for event in line.sandbox.meter_events():
        place = event["customer"], event["event_name"]
        sums[place] = sums.get(place, 0) + int(event["value"])
        assert sums[place] >= 0, event
    billing(line, "api_calls")


@pytest.mark.parametrize("change", [change_customer, rename_meter])
def test_what_is_taken_back_is_subtracted_where_its_units_lie(used, change):
    change(used)
    use(used, 70)
    assert held_there(used) == (70, 0)
    use(used, 200)
    assert held_there(used) == (70, 130)
    use(used, 190)
    assert held_there(used) == (70, 120)    # Where they are billed now, if that holds enough.
    use(used, 40)
    assert held_there(used) == (40, 0)      # None holds 150: each gives what it has.
    assert set(states(used)) == {"sent"}
    use(used, 0)
    assert held_there(used) == (0, 0)
    assert_books(used)


def test_a_running_sink_goes_on_until_all_is_subtracted(used):
    change_customer(used)
    use(used, 150)
    sink = used.start_sink(SINK_INTERVAL_S=1)
    count(used, "acme", "api_calls", "10")
    used.wait_for(lambda: held_there(used) in ((10, 0), (0, 10)), what="all is subtracted")
    sink.term()
    assert_books(used)


@pytest.mark.parametrize("known", ["by the customer", "by the history"])
def test_what_a_deleted_customer_held_is_held_visibly_until_more_comes(used, known):
    """Stripe takes nothing for it any more. Nothing is sent to anybody else for it."""
    if known == "by the customer":
        used.sql("INSERT INTO billing_customers (tenant, stripe_customer_id, deleted_at)"
                 " SELECT 'acme before', stripe_customer_id || ' ', now() FROM billing_customers")
        used.sql("UPDATE billing_customers SET stripe_customer_id = stripe_customer_id || '  ' WHERE tenant = 'acme'")
        used.sql("UPDATE billing_customers SET stripe_customer_id = trim(stripe_customer_id)"
                 " WHERE tenant = 'acme before'")
    else:
        used.sql("INSERT INTO billing_history (tenant, kind, object_id, detail) SELECT 'acme', 'customer_deleted',"
                 " c, jsonb_build_object('customer', c, 'deleted', true) FROM (VALUES (%s)) v (c)",
                 used.tenants["acme"])
    change_customer(used)
    use(used, 70)
    assert held_there(used) == (100, 0) and states(used) == {"sent": 1, "held": 1}
    assert billing(used, "api_calls")["held"] == "-30"
    assert "held" in used.must("meterctl", "status").stdout
    # These totals have no minutes below them.
    proof = json.loads(used.meterctl("explain", "--tenant", "acme", "--metric", "api_calls", "--period",
                                 "current", "--format", "json").stdout)["proof"]
    assert (proof["total"], proof["sent"], proof["held"]) == ("70", "100", "-30")
    use(used, 95)
    assert held_there(used) == (100, 0) and billing(used, "api_calls")["held"] == "-5"
    use(used, 125)
    assert held_there(used) == (100, 25) and states(used) == {"sent": 2, "void": 2}
    assert_books(used)


def test_what_never_was_positive_is_held(shop):     # noqa: F811
    add_tenants(shop, "acme")
    count(shop, "acme", "api_calls", "-3.5")
    once(shop)
    assert states(shop) == {"held": 1} and total(shop, "acme", "api_calls") == 0
    use(shop, 6)
    assert states(shop) == {"void": 1, "sent": 1} and total(shop, "acme", "api_calls") == 6


def test_what_stripe_refused_holds_nothing_and_is_claimed_anew_less_what_was_taken_back(shop):    # noqa: F811
    add_tenants(shop, "acme")
    shop.sandbox.fault("status", path=EVENTS, status=400, times=1)
    use(shop, 100)
    assert states(shop) == {"failed": 1}
    use(shop, 70)
    assert states(shop) == {"failed": 1, "held": 1} and total(shop, "acme", "api_calls") == 0
    shop.must("meterctl", "submissions", "retry", "--state", "failed", "--yes")
    once(shop)
    assert states(shop) == {"void": 2, "sent": 1} and total(shop, "acme", "api_calls") == 70
    assert_books(shop)


def test_a_refused_subtraction_that_is_claimed_anew_finds_its_place_again(used):
    change_customer(used)
    used.sandbox.fault("status", path=EVENTS, status=400, times=1)
    use(used, 70)
    assert states(used) == {"sent": 1, "failed": 1} and held_there(used) == (100, 0)
    used.must("meterctl", "submissions", "retry", "--state", "failed", "--yes")
    once(used)
    assert states(used) == {"sent": 2, "void": 1} and held_there(used) == (70, 0)


def test_what_is_negative_and_carried_over_waits_until_there_is_enough_to_subtract_from(shop):    # noqa: F811
    """9 of a period were billed, and 8 taken back after its invoice; the current one has 4 so far."""
    add_tenants(shop, "acme", days=34)
    subscribe(shop, "acme", "now() - interval '1 month' - interval '3 days'")
    ended = "now() - interval '5 days'"
    count(shop, "acme", "api_calls", "9", at=ended)
    count(shop, "acme", "api_calls", "4")
    once(shop)
    finalize(shop)
    count(shop, "acme", "api_calls", "1", at=ended)
    once(shop)
    assert states(shop) == {"sent": 2, "late": 1}
    shop.sql("UPDATE usage_submissions SET decision = 'carry', decided_at = now() WHERE state = 'late'")
    once(shop)
    assert states(shop) == {"sent": 2, "late": 1} and total(shop, "acme", "api_calls") == 13
    use(shop, 8)
    once(shop)      # What is carried is looked at before what is new.
    assert states(shop) == {"sent": 4, "void": 1} and total(shop, "acme", "api_calls") == 9
    assert [int(row.quantity) for row in shop.sql("SELECT quantity FROM usage_submissions WHERE carried")] == [-8]
    assert billing(shop, "api_calls")["sent"] == "9"


def test_what_is_carried_into_a_period_can_be_taken_back_there(shop):   # noqa: F811
    """Its units lie in the later period: what is taken back of its own is late as well, and goes where they are."""
    add_tenants(shop, "acme", days=34)
    subscribe(shop, "acme", "now() - interval '1 month' - interval '3 days'")
    finalize(shop)
    ended = "now() - interval '5 days'"
    for quantity in ("9", "3"):
        count(shop, "acme", "api_calls", quantity, at=ended)
        once(shop)
        shop.sql("UPDATE usage_submissions SET decision = 'carry', decided_at = now() WHERE state = 'late'")
        once(shop)
    assert states(shop) == {"sent": 2, "void": 2} and total(shop, "acme", "api_calls") == 3


def test_values_that_fall_are_told_where_they_are_billed_now(shop):     # noqa: F811
    """Nothing is subtracted from a value: the newest one counts, and what a meter of before holds stays."""
    add_tenants(shop, "acme", "other")
    shop.sql("DELETE FROM billing_customers WHERE tenant = 'other'")
    for value in ("7", "3"):
        count(shop, "acme", "user_seats", value)
        once(shop)
        assert total(shop, "acme", "user_seats") == int(value)
    change_customer(shop)
    once(shop)
    assert (total(shop, "acme", "user_seats"), total(shop, "other", "user_seats")) == (3, 3)
    count(shop, "acme", "user_seats", "2")
    once(shop)
    assert (total(shop, "acme", "user_seats"), total(shop, "other", "user_seats")) == (3, 2)
    assert set(states(shop)) == {"sent"} and len(claims(shop)) == 4


def test_in_a_period_that_is_over_it_finds_a_minute_of_its_own(used):
    used.sql("UPDATE billing_customers SET stripe_customer_id = %s", used.tenants["acme"])
    subscribe(used, "acme", "now() - interval '20 days'")
    used.sql("TRUNCATE usage_submissions, usage_claims, usage_totals")
    use(used, 50)
    first = used.value("SELECT usage_at FROM usage_submissions")
    used.sql("UPDATE subscriptions SET current_period_end = now() - interval '5 minutes',"
             " billing_cycle_anchor = now() - interval '5 minutes'")
    used.sql("UPDATE billing_periods SET period_end = minute_of(now() - interval '5 minutes')")
    used.sql("UPDATE usage_totals SET period_end = minute_of(now() - interval '5 minutes'), quantity = 20,"
             " version = nextval('usage_version')")
    used.sql("UPDATE usage_submissions SET usage_at = usage_at - interval '5 minutes' - interval '1 minute'")
    change_customer(used)
    once(used)
    rows = claims(used, "quantity::int AS n, state, usage_at, stripe_customer_id AS customer")
    assert [(row.n, row.state) for row in rows] == [(50, "sent"), (-30, "sent")] and rows[0].usage_at < first
    assert {row.customer for row in rows} == {used.tenants["acme"]} and rows[0].usage_at != rows[1].usage_at
