"""meterctl subscriptions: what tenants have subscribed to, as it stands in the tables."""

import json

import pytest

SUBSCRIPTION = ("INSERT INTO subscriptions (stripe_subscription_id, tenant, stripe_customer_id, plan, status, plan_quantity,"
                " current_period_start, current_period_end, billing_cycle_anchor, started_at)"
                " VALUES (%s, %s, 'cus_1', %s, %s, %s, '2026-11-01', '2026-12-01', '2026-11-01', %s)")


@pytest.fixture(name="shop")
def shop_fixture(line):
    for id, tenant, plan, status, seats, since in [("sub_1", "acme", "free", "canceled", 1, "2026-10-01"),
                                                   ("sub_2", "acme", "standard", "active", 1, "2026-10-02"),
                                                   ("sub_3", "globex", "standard", "trialing", 4, "2026-10-03")]:
        line.sql(SUBSCRIPTION, id, tenant, plan, status, seats, since)
    line.sql("INSERT INTO subscription_items (stripe_subscription_item_id, stripe_subscription_id, tenant, metric,"
             " stripe_price_id, quantity, unit_amount, currency) VALUES"
             " ('si_2', 'sub_2', 'acme', 'api_calls', 'price_2', NULL, NULL, 'usd'),"
             " ('si_1', 'sub_2', 'acme', NULL, 'price_1', 1, 9900, 'usd'), ('si_3', 'sub_3', 'globex', NULL, 'price_1', 4, 9900, 'usd')")
    return line


def rows(line, *args):
    return json.loads(line.must("meterctl", "subscriptions", *args, "--json").stdout)


def listed(line, *args):
    return [row["subscription"] for row in rows(line, "list", *args)]


def test_they_are_listed_newest_first_by_what_is_asked(shop):
    assert listed(shop) == ["sub_3", "sub_2", "sub_1"]
    assert listed(shop, "--status", "active") == ["sub_2"] and listed(shop, "--tenant", "acme") == ["sub_2", "sub_1"]
    assert listed(shop, "--plan", "standard", "--limit", "1") == ["sub_3"]
    first = rows(shop, "list")[0]
    assert (first["tenant"], first["plan"], first["status"], first["quantity"]) == ("globex", "standard", "trialing", 4)
    table = shop.must("meterctl", "subscriptions", "list").stdout
    assert "2026-12-01T00:00:00Z" in table and "customer" not in table
    assert "cus_1" in shop.must("meterctl", "subscriptions", "list", "--wide").stdout
    assert "there is no such subscription" in shop.must("meterctl", "subscriptions", "list", "--status", "paused").stdout


@pytest.mark.parametrize("word", ["show", "get"])
def test_one_is_shown_with_its_items(shop, word):
    (one,) = rows(shop, word, "sub_2")
    assert (one["tenant"], one["plan"], one["customer"]) == ("acme", "standard", "cus_1")
    assert [(i["item"], i.get("metric"), i.get("unit_amount")) for i in one["items"]] == [
        ("si_1", None, "9900"), ("si_2", "api_calls", None)]
    text = shop.must("meterctl", "subscriptions", word, "sub_2").stdout
    assert "api_calls" in text and "standard" in text and "si_3" not in text


def test_all_of_a_tenant_are_shown_the_one_that_decides_first(shop):
    assert [row["subscription"] for row in rows(shop, "show", "acme")] == ["sub_2", "sub_1"]


@pytest.mark.parametrize("args, code, told", [
    (["show", "sub_9"], 1, "no event of Stripe's ever told of a subscription of sub_9"), (["show", "acmee"], 1, "acme"),
    (["show"], 2, "an argument is missing"), (["list", "--limit", "0"], 2, "--limit"), (["list", "--tenant", "nobody"], 1, "nobody"),
    (["move"], 2, "subscriptions list")])
def test_what_is_wrong_is_told(shop, args, code, told):
    done = shop.meterctl("subscriptions", *args)
    assert done.returncode == code and told in done.stderr, done.stderr
