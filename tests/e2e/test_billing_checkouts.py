"""Checkouts and the portal over the API, older versions of Stripe's, and a change that is refused."""

import threading

import pytest

from support import plans
from support.billing_shop import (
    CHECKOUT, CUSTOMER, DONE, METHOD, PORTAL, SUBSCRIPTION, buy, key, make_acme, make_shop, prices_of, stripe_subscriptions
)


@pytest.fixture(name="shop")
def shop_fixture(line):
    return make_shop(line)


@pytest.fixture(name="acme")
def acme_fixture(shop):
    return make_acme(shop)


def test_a_checkout_is_one_until_it_is_paid(shop):
    shop.plans = plans.of_catalog(shop.sandbox)
    acme = shop.editor.of("acme")
    first = acme.post(CHECKOUT, {"plan": "standard", "success_url": DONE, "seats": 2})
    assert first.status == 201 and first.json["expires_at"].endswith("Z"), first
    again = acme.post(CHECKOUT, {"plan": "standard", "success_url": DONE, "seats": 2})
    assert (again.status, again.json["id"], again.json["reused"]) == (200, first.json["id"], True)
    other = acme.post(CHECKOUT, {"plan": "enterprise", "success_url": DONE})
    assert other.status == 201 and other.json["id"] != first.json["id"]
    opened = shop.sandbox.api("GET", "/v1/checkout/sessions", {"status": "open"}).json["data"]
    assert [s["id"] for s in opened] == [other.json["id"]]
    assert buy(shop, other.json["url"], "pm_card_chargeDeclined") == 402
    assert buy(shop, other.json["url"]) == 303
    told = acme.wait(SUBSCRIPTION, lambda s: s["status"] == "active", "webhookd has it")
    assert told["plan"] == "enterprise"
    late = acme.post(CHECKOUT, {"plan": "standard", "success_url": DONE})
    assert (late.status, late.code) == (409, "subscription_exists") and told["id"] in late.text
    assert acme.post(CHECKOUT, {"plan": "standard", "success_url": "javascript:alert(1)"}).param == "success_url"


def test_a_subscription_ends_an_open_checkout(shop, acme):
    opened = acme.post(CHECKOUT, {"plan": "standard", "success_url": DONE}).json
    assert acme.post(SUBSCRIPTION, {"plan": "standard"}).status == 201
    assert shop.sandbox.api("GET", f"/v1/checkout/sessions/{opened['id']}").json["status"] == "expired"
    assert len(stripe_subscriptions(shop)) == 1


@pytest.mark.parametrize("method,path", [("GET", "/v1/prices"), ("POST", "/v1/checkout/sessions/")], ids=["prices", "expiring"])
@pytest.mark.parametrize("asked", [SUBSCRIPTION, CHECKOUT], ids=["subscription", "checkout"])
def test_a_checkout_that_is_paid_meanwhile_is_the_only_subscription(shop, acme, method, path, asked):
    opened = acme.post(CHECKOUT, {"plan": "standard", "success_url": DONE}).json
    shop.sandbox.fault("delay", method=method, path=path, applied=False, delay_ms=4000, times=1)
    answers = []
    body = {"plan": "enterprise", **({"success_url": DONE} if asked == CHECKOUT else {})}
    asking = threading.Thread(target=lambda: answers.append(acme.post(asked, body, timeout=60)))
    asking.start()
    shop.wait_for(lambda: shop.value("SELECT count(*) FROM tenant_locks"), 10, "it has begun")
    if method == "POST":
        shop.wait_for(lambda: shop.value("SELECT count(*) FROM stripe_operations WHERE operation = 'expire_checkout'"), 10, "it ends it")
    assert buy(shop, opened["url"]) == 303
    asking.join()
    assert (answers[0].status, answers[0].code) == (409, "subscription_exists"), answers
    assert [s["status"] for s in stripe_subscriptions(shop)] == ["active"]


def test_a_checkout_that_stripe_does_not_end_stops_a_subscription(shop, acme):
    opened = acme.post(CHECKOUT, {"plan": "standard", "success_url": DONE}).json
    shop.sandbox.fault("status", method="POST", path="/v1/checkout/sessions/", status=400, applied=False, stored=True, times=1,
                       body={"error": {"type": "invalid_request_error", "message": "not now"}})
    told = acme.post(SUBSCRIPTION, {"plan": "standard"}, **key("k"))
    assert (told.status, told.code) == (409, "checkout_open") and told.headers["Retry-After"], told
    assert stripe_subscriptions(shop) == []
    assert acme.post(SUBSCRIPTION, {"plan": "standard"}, **key("k")).status == 201, "the same request, and Stripe ends it now"
    assert shop.sandbox.api("GET", f"/v1/checkout/sessions/{opened['id']}").json["status"] == "expired"


def test_a_checkout_is_the_same_only_for_the_same_terms(shop, acme):
    shop.sandbox.api("POST", "/v1/coupons", {"id": "half", "percent_off": "50", "duration": "forever"})
    base = {"plan": "standard", "success_url": DONE}
    last = acme.post(CHECKOUT, base).json["id"]
    for more in ({"coupon": "half"}, {"trial_days": 90}, {"success_url": "https://shop.test/other"}, {"cancel_url": "https://shop.test/back"},
                 {"allow_promotion_codes": True}, {"seats": 2}, {"interval": "year"}):
        told = acme.post(CHECKOUT, {**base, **more})
        if "interval" in more and told.status == 409:
            continue
        assert told.status == 201 and told.json["id"] != last, (more, told)
        again = acme.post(CHECKOUT, {**base, **more})
        assert (again.status, again.json["id"]) == (200, told.json["id"]), more
        last = told.json["id"]
        opened = shop.sandbox.api("GET", "/v1/checkout/sessions", {"status": "open"}).json["data"]
        assert [s["id"] for s in opened] == [last]


def test_one_that_stands_is_seen_behind_a_hundred_that_ended(shop, acme):
    made = acme.post(SUBSCRIPTION, {"plan": "standard"}).json
    [price] = shop.sandbox.api("GET", "/v1/prices", {"lookup_keys": ["standard"]}).json["data"]
    for _ in range(101):
        more = shop.sandbox.api("POST", "/v1/subscriptions", {"customer": made["customer"], "items": [{"price": price["id"]}]}).json
        shop.sandbox.api("DELETE", f"/v1/subscriptions/{more['id']}")
    told = acme.post(SUBSCRIPTION, {"plan": "standard"})
    assert (told.status, told.code) == (409, "subscription_exists") and made["id"] in told.text, told


def test_of_two_customers_of_a_tenant_none_is_changed(shop, acme):
    acme.post(SUBSCRIPTION, {"plan": "standard"})
    acme.wait(SUBSCRIPTION, lambda s: s["status"] == "active", "webhookd has it")
    [price] = shop.sandbox.api("GET", "/v1/prices", {"lookup_keys": ["standard"]}).json["data"]
    second = shop.sandbox.api("POST", "/v1/customers", {"metadata": {"tenant": "acme"}}).json
    shop.sandbox.api("POST", "/v1/subscriptions", {"customer": second["id"], "items": [{"price": price["id"]}],
                                                   "collection_method": "send_invoice", "days_until_due": 30})
    shop.wait_for(lambda: shop.value("SELECT contested_since IS NOT NULL FROM billing_customers"), 20, "webhookd sees both")
    requests = len(shop.sql("SELECT * FROM stripe_operations"))
    for told in (acme.put(SUBSCRIPTION, {"seats": 2}), acme.delete(SUBSCRIPTION), acme.post(CUSTOMER, {"email": "b@acme.test"}),
                 acme.post(CHECKOUT, {"plan": "standard", "success_url": DONE}), acme.post(SUBSCRIPTION, {"plan": "standard"}),
                 acme.post(METHOD, {"payment_method": "pm_card_visa"})):
        assert (told.status, told.code) == (409, "customer_contested") and "meterctl customers show acme" in told.text, told
    assert len(shop.sql("SELECT * FROM stripe_operations")) == requests


def test_the_portal_is_for_a_customer(shop):
    acme = shop.editor.of("acme")
    assert acme.post(PORTAL, {"return_url": "https://shop.test/"}).code == "no_customer"
    acme.post(CUSTOMER, {})
    shop.sandbox.api("POST", "/v1/billing_portal/configurations", {"features": {"invoice_history": {"enabled": True}}})
    made = acme.post(PORTAL, {"return_url": "https://shop.test/"})
    assert made.status == 201 and made.json["url"].startswith("http"), made


@pytest.mark.parametrize("version", ["2024-06-20", "2025-03-31.basil"])
def test_older_versions_of_stripes_api(line, version):
    line.settings["STRIPE_API_VERSION"] = version
    shop = make_shop(line)
    plans.of_catalog(shop.sandbox)
    acme = shop.editor.of("acme")
    acme.post(CUSTOMER, {})
    acme.must("POST", METHOD, {"payment_method": "pm_card_visa"})
    assert acme.post(SUBSCRIPTION, {"plan": "enterprise"}).status == 201
    assert acme.must("PUT", SUBSCRIPTION, {"plan": "standard"})["change"] == "period_end"
    stay = acme.must("PUT", SUBSCRIPTION, {"plan": "enterprise", "interval": "month"})
    assert stay["schedule"] is None
    assert acme.must("DELETE", SUBSCRIPTION)["cancel_at"]
    assert acme.must("DELETE", SUBSCRIPTION, query={"at": "now"})["status"] == "canceled"


def test_a_refused_upgrade_leaves_the_schedule_as_it_was(shop, acme):
    acme.post(SUBSCRIPTION, {"plan": "enterprise"})
    down = acme.must("PUT", SUBSCRIPTION, {"plan": "standard"})
    before = shop.sandbox.api("GET", f"/v1/subscription_schedules/{down['schedule']}").json
    acme.must("POST", METHOD, {"payment_method": "pm_card_chargeCustomerFail"})
    refused = acme.put(SUBSCRIPTION, {"seats": 5, "proration": "always_invoice"})
    assert refused.status == 402, refused
    [sub] = stripe_subscriptions(shop)
    after = shop.sandbox.api("GET", f"/v1/subscription_schedules/{sub['schedule']}").json
    assert sub["schedule"] != down["schedule"] and prices_of(sub)["enterprise"] == 1
    def phases(schedule):
        return [(p["start_date"], p["end_date"], p["proration_behavior"], p["metadata"].get("plan"),
                 sorted((i["price"], i.get("quantity")) for i in p["items"]) if "items" in p else None)
                for p in schedule["phases"]]
    assert [p[1:2] + p[3:] for p in phases(after)][1:] == [p[1:2] + p[3:] for p in phases(before)][1:]
    assert after["end_behavior"] == "release"
