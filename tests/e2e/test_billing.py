"""What the API does at Stripe: each thing once, whatever died on the way; each failure a clear answer."""

import re
import threading
import urllib.parse

import pytest

from line.line import TEST_KEY, TEST_WEBHOOK_SECRET
from support import api as support
from support import plans

CUSTOMER = "/api/billing/customer"
METHOD = "/api/billing/customer/payment_method"


@pytest.fixture(name="shop")
def shop_fixture(line):
    return make_shop(line)


def make_shop(line):
    """A line with Stripe's stand-in, which tells webhookd of all that happens, and the API."""
    line.start_sandbox(rate_per_s=0)
    webhookd = line.start_webhookd().wait_ready()
    line.sandbox.webhook(f"http://127.0.0.1:{webhookd.port('webhooks')}/webhooks/stripe", enabled_events=["*"],
                         secret=TEST_WEBHOOK_SECRET)
    line.api = support.start(line, API_STRIPE_RATE_PER_S="1000")
    line.editor = line.api.with_key("editor", "shop")
    return line


def customers(line):
    return line.sandbox.api("GET", "/v1/customers", {"limit": 100}).json["data"]


def key(text):
    return {"headers": {"Idempotency-Key": text}}


def repeat(line, caller, path, body, text):
    """The request again under its key, once the lease of the process that died has passed."""
    def ask():
        answer = caller.post(path, body, **key(text))
        return not (answer.status == 409 and answer.code == "request_in_progress") and answer
    return line.wait_for(ask, 30, "it is nobody's any more")


def test_a_customer_is_made_once_and_then_found(shop):
    acme = shop.editor.of("acme")
    made = acme.post(CUSTOMER, {"email": "a@acme.test", "name": "Acme"})
    assert made.status == 201, made
    assert made.json["email"] == "a@acme.test" and made.json["pending"] is False and made.json["status"] == "active"
    found = acme.post(CUSTOMER, {})
    assert (found.status, found.json["id"]) == (200, made.json["id"])
    changed = acme.post(CUSTOMER, {"email": "b@acme.test"})
    assert changed.json["email"] == "b@acme.test" and changed.json["pending"] is False
    assert acme.must("GET", CUSTOMER) == changed.json
    assert [c["metadata"]["tenant"] for c in customers(shop)] == ["acme"]
    told = [(r.kind, r.object_id, r.actor) for r in shop.sql(
        "SELECT kind, object_id, actor FROM billing_history WHERE actor IS NOT NULL ORDER BY history_id")]
    assert told == [("customer_requested", made.json["id"], "shop")] * 3
    assert shop.editor.of("globex").get(CUSTOMER).status == 404


def test_two_posts_at_once_make_one_customer(shop):
    answers = []
    def post():
        answers.append(shop.editor.of("acme").post(CUSTOMER, {"email": "a@acme.test"}))
    threads = [threading.Thread(target=post) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(a.status for a in answers) == [200] * 5 + [201], answers
    assert len({a.json["id"] for a in answers}) == 1 and len(customers(shop)) == 1


SUBSCRIPTION = "/api/billing/subscription"
CRASHES = ["before_stripe", "after_stripe"]


@pytest.mark.parametrize("point", CRASHES)
@pytest.mark.parametrize("same_key", [True, False], ids=["same_key", "other_key"])
def test_a_customer_survives_a_crash(shop, point, same_key):
    crashing = support.start(shop, METERLINE_TEST_CRASH=point)
    acme = shop.editor.of("acme")
    with pytest.raises(OSError):
        support.Api(shop, crashing.stage, acme.key, "acme").post(CUSTOMER, {"email": "a@acme.test"}, **key("k1"))
    crashing.stage.process.wait()
    assert len(customers(shop)) == (point == "after_stripe")
    again = repeat(shop, acme, CUSTOMER, {"email": "a@acme.test"}, "k1" if same_key else "k2")
    assert again.status in (200, 201) and again.json["email"] == "a@acme.test", again
    assert [c["id"] for c in customers(shop)] == [again.json["id"]]
    assert shop.sql("SELECT state FROM stripe_operations WHERE operation = 'create_customer'")[0].state == "done"


def test_what_stripe_made_is_found_after_its_key_was_forgotten(shop):
    crashing = support.start(shop, METERLINE_TEST_CRASH="after_stripe")
    acme = shop.editor.of("acme")
    with pytest.raises(OSError):
        support.Api(shop, crashing.stage, acme.key, "acme").post(CUSTOMER, {}, **key("k1"))
    crashing.stage.process.wait()
    shop.wait_for(lambda: shop.value("SELECT count(*) FROM billing_customers") == 1, 10, "webhookd has it")
    shop.sql("DELETE FROM billing_customers")
    shop.sql("UPDATE stripe_operations SET begun_at = now() - interval '25 hours'")
    shop.sandbox.clock(25 * 3600 + 60)
    answer = repeat(shop, acme, CUSTOMER, {}, "k1")
    assert answer.status == 201, answer
    assert [c["id"] for c in customers(shop)] == [answer.json["id"]]


@pytest.mark.parametrize("fault", ["drop_after_apply", "drop_before_apply"])
def test_lost_answers_make_nothing_twice(shop, fault):
    shop.sandbox.fault(fault, method="POST", path="/v1/customers", times=2)
    answer = shop.editor.of("acme").post(CUSTOMER, {})
    assert answer.status == 201 and len(customers(shop)) == 1


def test_a_failure_that_stripe_keeps_is_got_over(shop):
    shop.sandbox.fault("status", method="POST", path="/v1/customers", status=500, applied=True, stored=True, times=1)
    acme = shop.editor.of("acme")
    lost = acme.post(CUSTOMER, {}, **key("k1"))
    assert (lost.status, lost.code) == (502, "stripe_no_answer")
    found = acme.post(CUSTOMER, {}, **key("k1"))
    assert found.status == 201 and [c["id"] for c in customers(shop)] == [found.json["id"]]
    shop.sandbox.fault("status", method="POST", path="/v1/customers", status=500, applied=False, stored=True, times=1)
    globex = shop.editor.of("globex")
    assert globex.post(CUSTOMER, {}, **key("k2")).status == 502
    assert globex.post(CUSTOMER, {}, **key("k2")).status == 201 and len(customers(shop)) == 2


def test_stripe_away_is_told_and_nothing_is_done(shop):
    shop.sandbox.stop()
    answer = shop.editor.of("acme").post(CUSTOMER, {}, timeout=60)
    assert (answer.status, answer.code) == (503, "stripe_unavailable") and int(answer.headers["Retry-After"]) > 0
    shop.sandbox = None


def test_a_key_that_stripe_refuses_is_told(shop):
    shop.sandbox.key(TEST_KEY, expired=True)
    answer = shop.editor.of("acme").post(CUSTOMER, {})
    assert (answer.status, answer.code) == (502, "stripe_key_refused"), answer


# Subscriptions.


@pytest.fixture(name="acme")
def acme_fixture(shop):
    shop.plans = plans.of_catalog(shop.sandbox)
    acme = shop.editor.of("acme")
    assert acme.post(CUSTOMER, {"email": "a@acme.test"}).status == 201
    acme.must("POST", METHOD, {"payment_method": "pm_card_visa"})
    return acme


def stripe_subscriptions(line, customer=None):
    return line.sandbox.api("GET", "/v1/subscriptions", {"status": "all", "limit": 100}).json["data"]


def prices_of(subscription):
    return {item["price"]["lookup_key"] or item["price"]["id"]: item.get("quantity")
            for item in subscription["items"]["data"]}


def test_a_subscription_has_all_that_its_plan_bills(shop, acme):
    made = acme.post(SUBSCRIPTION, {"plan": "standard", "seats": 2})
    assert made.status == 201, made
    told = made.json
    assert (told["plan"], told["status"], told["seats"], told["interval"], told["pending"]) == (
        "standard", "active", 2, "month", False)
    [sub] = stripe_subscriptions(shop)
    assert prices_of(sub) == {"standard": 2, **{f"standard_{metric}": None for metric in plans.STANDARD}}
    assert sub["metadata"]["tenant"] == "acme" and sub["billing_mode"]["type"] == "flexible"
    assert acme.must("GET", SUBSCRIPTION) == told
    second = acme.post(SUBSCRIPTION, {"plan": "enterprise"})
    assert (second.status, second.code) == (409, "subscription_exists") and told["id"] in second.json["error"]["message"]
    assert acme.post(SUBSCRIPTION, {"plan": "enterprise", "additional": True}).status == 201


def test_what_webhookd_has_not_stored_yet_is_stripes_own(shop, acme):
    """The same members with the same values, but for `pending`."""
    webhookd = next(stage for stage in shop.stages if stage.name == "webhookd")
    webhookd.pause()
    try:
        made = acme.post(SUBSCRIPTION, {"plan": "standard", "seats": 3, "trial_days": 9})
        assert made.status == 201 and made.json["pending"] is True and acme.get(SUBSCRIPTION).status == 404
    finally:
        webhookd.resume()
    stored = acme.wait(SUBSCRIPTION, lambda s: True, "webhookd has it")
    def shown(subscription):
        items = sorted(subscription["items"], key=lambda item: item["id"])
        return {**subscription, "items": items, "pending": None}
    assert shown(stored) == shown(made.json) and stored["pending"] is False


def test_two_posts_at_once_make_one_subscription(shop, acme):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(acme.post(SUBSCRIPTION, {"plan": "standard"})))
               for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(a.status for a in answers) == [201] + [409] * 4, answers
    assert len(stripe_subscriptions(shop)) == 1


def test_a_subscription_survives_a_crash(shop, acme):
    crashing = support.start(shop, METERLINE_TEST_CRASH="after_stripe")
    with pytest.raises(OSError):
        support.Api(shop, crashing.stage, acme.key, "acme").post(SUBSCRIPTION, {"plan": "standard"}, **key("s1"))
    crashing.stage.process.wait()
    again = repeat(shop, acme, SUBSCRIPTION, {"plan": "standard"}, "s1")
    assert again.status == 201, again
    assert [s["id"] for s in stripe_subscriptions(shop)] == [again.json["id"]]
    other = acme.post(SUBSCRIPTION, {"plan": "standard"}, **key("s2"))
    assert (other.status, other.code) == (409, "subscription_exists")


def test_a_declined_payment_is_told_and_leaves_nothing(shop):
    shop.plans = plans.of_catalog(shop.sandbox)
    acme = shop.editor.of("acme")
    acme.post(CUSTOMER, {})
    none = acme.post(SUBSCRIPTION, {"plan": "standard"})
    assert (none.status, none.code) == (402, "payment_method_required"), none
    declined = acme.post(METHOD, {"payment_method": "pm_card_chargeDeclined"})
    assert declined.status == 402, declined
    acme.must("POST", METHOD, {"payment_method": "pm_card_chargeCustomerFail"})
    answer = acme.post(SUBSCRIPTION, {"plan": "standard"})
    assert (answer.status, answer.code) == (402, "generic_decline") or answer.status == 402, answer
    assert stripe_subscriptions(shop) == []
    assert acme.post(SUBSCRIPTION, {"plan": "nothing"}).param == "plan"
    assert acme.post(METHOD, {"payment_method": "pm_missing"}).param == "payment_method"


def test_an_upgrade_is_at_once_and_a_downgrade_at_the_end(shop, acme):
    acme.post(SUBSCRIPTION, {"plan": "standard"})
    up = acme.must("PUT", SUBSCRIPTION, {"plan": "enterprise"})
    assert (up["change"], up["plan"], up["pending"]) == ("now", "enterprise", False)
    [sub] = stripe_subscriptions(shop)
    assert prices_of(sub) == {"enterprise": 1, **{f"enterprise_{metric}": None for metric in plans.ENTERPRISE}}
    down = acme.must("PUT", SUBSCRIPTION, {"plan": "standard"})
    assert (down["change"], down["plan"]) == ("period_end", "enterprise") and down["schedule"]
    stay = acme.must("PUT", SUBSCRIPTION, {"plan": "enterprise"})
    assert (stay["change"], stay["schedule"], stay["plan"]) == ("none", None, "enterprise")
    acme.must("PUT", SUBSCRIPTION, {"plan": "standard"})
    more = acme.must("PUT", SUBSCRIPTION, {"seats": 3})
    assert (more["change"], more["seats"], more["schedule"]) == ("now", 3, None)
    acme.must("PUT", SUBSCRIPTION, {"seats": 1})
    end = up["current_period_end"]
    shop.sandbox.clock(40 * 86400)
    now = acme.wait(SUBSCRIPTION, lambda s: s["seats"] == 1, "the period has ended")
    assert now["plan"] == "enterprise" and now["current_period_start"] >= end


def test_an_end_with_the_period_can_be_undone(shop, acme):
    acme.post(SUBSCRIPTION, {"plan": "standard"})
    ends = acme.must("DELETE", SUBSCRIPTION)
    assert ends["cancel_at_period_end"] is True and ends["cancel_at"] == ends["current_period_end"]
    assert acme.put(SUBSCRIPTION, {"plan": "free"}).code == "subscription_ends"
    stays = acme.must("PUT", SUBSCRIPTION, {"cancel_at_period_end": False})
    assert stays["cancel_at_period_end"] is False and stays["cancel_at"] is None
    acme.must("PUT", SUBSCRIPTION, {"plan": "free"})
    assert acme.must("DELETE", SUBSCRIPTION)["cancel_at_period_end"] is True
    assert acme.put(SUBSCRIPTION, {}).status == 400
    assert acme.put(SUBSCRIPTION, {"plan": "free", "resume": True}).status == 400


def test_an_end_now_waits_for_what_was_used(shop, acme):
    shop.sandbox.clock(-3600)       # in its first minute, usage would be sent with the next one
    acme.post(SUBSCRIPTION, {"plan": "standard"})
    shop.sandbox.clock(0)
    aggregator = shop.start_aggregator().wait_ready()
    shop.emit([{"id": "e1", "tenant": "acme", "metric": "api_calls", "quantity": "150000"}])
    shop.wait_for(lambda: shop.value("SELECT count(*) FROM usage_totals WHERE quantity = 150000"), 20, "it is counted")
    refused = acme.delete(SUBSCRIPTION, query={"at": "now", "settle_s": 1})
    assert (refused.status, refused.code) == (409, "usage_not_settled") and "api_calls" in refused.text
    assert acme.must("GET", SUBSCRIPTION)["status"] == "active"
    aggregator.pause()      # what is in the stream is waited for, too
    shop.emit([{"id": "e2", "tenant": "acme", "metric": "api_calls", "quantity": "50000"}])
    behind = acme.delete(SUBSCRIPTION, query={"at": "now", "settle_s": 1})
    assert (behind.status, behind.code) == (409, "usage_not_settled") and "counting" in behind.text
    aggregator.resume()
    shop.wait_for(lambda: shop.value("SELECT count(*) FROM usage_totals WHERE quantity = 200000"), 20, "it is counted")
    shop.start_sink().wait_ready()
    shop.wait_for(lambda: shop.value("SELECT count(*) FROM usage_submissions WHERE state = 'sent'"), 30, "it is sent")
    shop.sql("UPDATE usage_submissions SET usage_at = usage_at + interval '5 minutes'")     # as if earlier minutes were taken
    ahead = acme.delete(SUBSCRIPTION, query={"at": "now", "settle_s": 1})
    assert (ahead.status, ahead.code) == (409, "usage_not_settled") and "ahead" in ahead.text
    shop.sql("UPDATE usage_submissions SET usage_at = usage_at - interval '5 minutes'")
    ended = acme.must("DELETE", SUBSCRIPTION, query={"at": "now"}, timeout=70)
    assert (ended["status"], ended["change"], ended["pending"]) == ("canceled", "now", False)
    invoice = ended["last_invoice"]
    assert invoice["status"] == "paid" and invoice["error"] is None
    assert int(shop.sandbox.total(ended["customer"], "api_calls")) == 200000
    billed = shop.sandbox.api("GET", f"/v1/invoices/{invoice['id']}").json["total"]
    assert billed == invoice["amount"]["amount_minor"] and billed in (113, 114)     # 100.00 of overage, less what is left of 99.00
    again = acme.must("DELETE", SUBSCRIPTION, query={"at": "now"})
    assert again["status"] == "canceled" and again["last_invoice"]["id"] == invoice["id"]
    assert acme.put(SUBSCRIPTION, {"plan": "enterprise"}).code == "no_subscription"


# Checkouts and the portal.

CHECKOUT = "/api/billing/checkout/session"
PORTAL = "/api/billing/portal/session"
DONE = "https://shop.test/done?session={CHECKOUT_SESSION_ID}"


def buy(line, url, card="pm_card_visa"):
    """A customer fills in the page. Returns the status."""
    page = line.sandbox.browse(url)
    form = next(f for f in re.findall(r"<form.*?</form>", page.body.decode(), re.S) if ">Subscribe" in f)
    fields = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', form))
    action = re.search(r'action="([^"]*)"', form)[1]
    return line.sandbox.browse(line.sandbox.url + action, urllib.parse.urlencode({**fields, "card": card}).encode()).status


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
