"""Claims by usage records: an item of the subscription, nothing negative, nothing once the period is over."""

import pytest

from support.sink import billing
from support.sink_shop import once, open_shop, states, subscribe_legacy, use_transport


@pytest.fixture
def legacy(line):
    """A tenant whose subscription has a metered price without a meter."""
    open_shop(line)
    use_transport(line, "usage_records", "api_calls")
    line.sub, line.item = subscribe_legacy(line, "acme")["acme"]
    return line


def map_item(line, item, metric="api_calls"):
    line.sql("""INSERT INTO subscription_items (stripe_subscription_item_id, stripe_subscription_id, tenant, metric,
                    stripe_price_id) VALUES (%s, 'sub_acme', 'acme', %s, 'price_1')""", item, metric)


def count(line, quantity, at="now()", metric="api_calls"):
    line.sql(f"""
        INSERT INTO usage_totals AS t (tenant, metric, period_start, period_end, quantity, version, last_ms, last_entry)
        SELECT 'acme', %s, p.period_start, p.period_end, %s, nextval('usage_version'), 0, ''
          FROM billing_period('acme', {at}) p
        ON CONFLICT (tenant, metric, period_start) DO UPDATE
           SET quantity = excluded.quantity, version = excluded.version""", metric, quantity)


def billed(line):
    """What the item holds at Stripe."""
    rows = line.sandbox.control("GET", "/totals")["usage_records"]
    return sum(int(row["value"]) for row in rows if row["subscription_item"] == line.item)


def open_claims(line):
    return [(row.state, int(row.quantity)) for row in line.sql(
        "SELECT state, quantity FROM usage_submissions WHERE state NOT IN ('void', 'sent') ORDER BY claim")]


def end_period(line):
    """As if the period had ended an hour ago."""
    line.sql("UPDATE subscriptions SET current_period_end = now() - interval '1 hour', "
             "billing_cycle_anchor = now() - interval '1 hour'")
    line.sql("UPDATE billing_periods SET period_end = minute_of(now() - interval '1 hour')")
    line.sql("UPDATE usage_totals SET period_end = minute_of(now() - interval '1 hour')")
    line.sql("UPDATE usage_submissions SET usage_at = usage_at - interval '2 hours'")
    line.sql("UPDATE usage_claims SET first_at = first_at - interval '2 hours', last_at = last_at - interval '2 hours'")


def test_a_total_without_an_item_is_unmapped_until_there_is_one(legacy):
    legacy.sql("DELETE FROM subscription_items")
    count(legacy, "5")
    once(legacy)
    assert states(legacy) == {}
    assert legacy.value("SELECT reason FROM usage_unbilled") == "unmapped"
    map_item(legacy, legacy.item)
    once(legacy)
    assert states(legacy) == {"sent": 1} and billed(legacy) == 5
    assert legacy.value("SELECT stripe_subscription_item_id FROM usage_submissions") == legacy.item


def test_a_tenant_without_a_subscription_is_unmapped(legacy):
    legacy.sql("DELETE FROM billing_periods")
    legacy.sql("DELETE FROM subscriptions")
    count(legacy, "5")
    once(legacy)
    assert states(legacy) == {} and legacy.value("SELECT reason FROM usage_unbilled") == "unmapped"


def test_a_negative_difference_is_held_and_never_sent_as_such(legacy):
    stories = [("10", [], 10), ("7", [("held", -3)], 10), ("7.5", [("held", -3)], 10), ("5", [("held", -5)], 10),
               ("9", [("held", -1)], 10), ("10.25", [], 10), ("8", [("held", -2)], 10), ("15", [], 15)]
    for quantity, left, expected in stories:
        count(legacy, quantity)
        once(legacy)
        assert open_claims(legacy) == left and billed(legacy) == expected, quantity
        pairs = billing(legacy, "api_calls")
        assert pairs["sent"] == str(expected) and pairs["held"] == str(sum(q for _, q in left))
    assert all("quantity=-" not in r["body"] for r in legacy.sandbox.requests(path="/v1/subscription_items"))
    assert states(legacy) == {"sent": 2, "void": 4}
    minutes = legacy.sql("SELECT usage_at FROM usage_submissions")
    assert len(set(minutes)) == len(minutes)


def test_what_is_held_stays_so_on_a_meter_that_holds_nothing(legacy):
    """The catalog turns to a meter: what was billed on the item is not subtracted there, since Stripe would bill the
    meter as 0. What comes makes up for it."""
    count(legacy, "10")
    once(legacy)
    count(legacy, "7")
    once(legacy)
    legacy.sandbox.bootstrap(meters=[{"event_name": "api_calls", "formula": "sum"}])
    use_transport(legacy, "meter_events", "api_calls")
    count(legacy, "6")
    once(legacy)
    assert open_claims(legacy) == [("held", -4)] and billed(legacy) == 10
    assert legacy.sandbox.total(legacy.tenants["acme"], "api_calls") == 0
    count(legacy, "16")
    once(legacy)
    assert open_claims(legacy) == [] and billed(legacy) == 10
    assert legacy.sandbox.total(legacy.tenants["acme"], "api_calls") == 6


def test_what_a_meter_holds_is_subtracted_there_though_records_are_sent_now(legacy):
    legacy.sandbox.bootstrap(meters=[{"event_name": "api_calls", "formula": "sum"}])
    use_transport(legacy, "meter_events", "api_calls")
    count(legacy, "100")
    once(legacy)
    use_transport(legacy, "usage_records", "api_calls")
    count(legacy, "70")
    once(legacy)
    assert states(legacy) == {"sent": 2} and billed(legacy) == 0
    assert legacy.sandbox.total(legacy.tenants["acme"], "api_calls") == 70
    count(legacy, "75")
    once(legacy)
    assert billed(legacy) == 5 and legacy.sandbox.total(legacy.tenants["acme"], "api_calls") == 70


def test_no_record_lies_in_the_future(legacy):
    """Stripe refuses those: where no minute is free the difference waits for the next one."""
    legacy.sql("UPDATE subscriptions SET started_at = minute_of(now()) - interval '1 minute' + interval '20 s', "
               "current_period_start = minute_of(now()) - interval '1 minute' + interval '20 s', "
               "billing_cycle_anchor = minute_of(now()) - interval '1 minute' + interval '20 s'")
    legacy.sql("SELECT refresh_billing_periods('acme')")
    for quantity in ("1", "2", "3", "4"):
        count(legacy, quantity)
        once(legacy)
    sent = states(legacy)["sent"]
    assert set(states(legacy)) == {"sent"} and sent < 4 and billed(legacy) == sent
    assert legacy.value("SELECT quantity::integer FROM usage_unbilled WHERE reason = 'waiting'") == 4 - sent


def test_what_comes_after_the_period_is_late_at_once(legacy):
    count(legacy, "10")
    once(legacy)
    count(legacy, "8")
    once(legacy)
    assert open_claims(legacy) == [("held", -2)]
    end_period(legacy)
    once(legacy)
    assert open_claims(legacy) == [("late", -2)]  # Nothing positive comes any more to hold it against.
    count(legacy, "13", at="now() - interval '2 hours'")
    once(legacy)
    assert open_claims(legacy) == [("late", -2), ("late", 5)] and billed(legacy) == 10
    pairs = billing(legacy, "api_calls")
    assert (pairs["late"], pairs["held"], pairs["sent"]) == ("3", "0", "10")


def test_a_negative_one_that_is_carried_is_held_in_the_current_period(legacy):
    count(legacy, "10")
    once(legacy)
    end_period(legacy)
    count(legacy, "8", at="now() - interval '2 hours'")
    count(legacy, "20")
    once(legacy)
    legacy.sql("UPDATE usage_submissions SET decision = 'carry' WHERE state = 'late'")
    once(legacy)
    held = legacy.sql("SELECT * FROM usage_submissions WHERE state = 'held'")
    assert [(row.carried, int(row.quantity)) for row in held] == [(True, -2)]
    assert billing(legacy, "api_calls")["held"] == "-2"
