"""Subscriptions over the API: all items of a plan, one a tenant, changes at once or at the end, and the end."""

import threading

import pytest

from support import api as support
from support import plans
from support.billing_shop import (
    CUSTOMER, METHOD, SUBSCRIPTION, key, make_acme, make_shop, prices_of, repeat, stripe_subscriptions
)


@pytest.fixture(name="shop")
def shop_fixture(line):
    return make_shop(line)


@pytest.fixture(name="acme")
def acme_fixture(shop):
    return make_acme(shop)


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
    assert acme.put(SUBSCRIPTION, {"seats": 3}).code == acme.delete(SUBSCRIPTION).code == "several_subscriptions"
    changed = acme.must("PUT", SUBSCRIPTION, {"seats": 3, "subscription": told["id"]})
    assert (changed["id"], changed["seats"]) == (told["id"], 3)
    ends = acme.must("DELETE", SUBSCRIPTION, query={"subscription": told["id"]})
    assert ends["id"] == told["id"] and ends["cancel_at_period_end"] is True
    assert acme.delete(SUBSCRIPTION, query={"subscription": "sub_other"}).code == "no_subscription"


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


def test_a_downgrade_keeps_the_coupon_and_the_tax(shop, acme):
    """Now, and once it has come."""
    shop.sandbox.api("POST", "/v1/coupons", {"id": "half", "percent_off": "50", "duration": "forever"})
    rate = shop.sandbox.api("POST", "/v1/tax_rates", {"display_name": "VAT", "percentage": "20", "inclusive": "false"}).json
    acme.post(SUBSCRIPTION, {"plan": "enterprise", "coupon": "half"})
    [sub] = stripe_subscriptions(shop)
    shop.sandbox.api("POST", "/v1/subscriptions/" + sub["id"], {"default_tax_rates": [rate["id"]]})
    def having():
        [now] = stripe_subscriptions(shop)
        return now["discounts"], [r["id"] for r in now["default_tax_rates"]]
    assert acme.must("PUT", SUBSCRIPTION, {"plan": "standard"})["change"] == "period_end"
    assert having() == (sub["discounts"], [rate["id"]]) and sub["discounts"]
    shop.sandbox.clock(32 * 86400)
    acme.wait(SUBSCRIPTION, lambda s: s["plan"] == "standard", "the period has ended")
    assert having() == (sub["discounts"], [rate["id"]])


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
    assert billed == invoice["amount"]["amount_minor"] and billed == 10000     # of overage; what is left of 99.00 is not given back
    assert acme.delete(SUBSCRIPTION, query={"at": "now"}).code == "no_subscription"
    assert acme.put(SUBSCRIPTION, {"plan": "enterprise"}).code == "no_subscription"


def end(caller, text, at="now"):
    return caller.delete(SUBSCRIPTION, query={"at": at}, **key(text))


def last_invoice(shop):
    [sub] = stripe_subscriptions(shop)
    return shop.sandbox.api("GET", "/v1/invoices/" + sub["latest_invoice"]).json


def test_what_has_ended_before_is_not_charged_by_an_end(shop, acme):
    """Whoever ended it, and however: only the request that did goes on with its last invoice."""
    acme.post(SUBSCRIPTION, {"plan": "standard"})
    acme.must("POST", METHOD, {"payment_method": "pm_card_chargeCustomerFail"})
    shop.sandbox.clock(40 * 86400)
    [sub] = stripe_subscriptions(shop)
    shop.sandbox.api("DELETE", "/v1/subscriptions/" + sub["id"], {})
    unpaid = last_invoice(shop)
    assert unpaid["status"] in ("open", "draft") and unpaid["total"] > 0
    acme.must("POST", METHOD, {"payment_method": "pm_card_visa"})
    for at in ("period_end", "now"):
        assert end(acme, "late_" + at, at).code == "no_subscription"
    assert last_invoice(shop)["status"] == unpaid["status"]


def test_an_end_now_survives_a_crash(shop, acme):
    acme.post(SUBSCRIPTION, {"plan": "standard", "days_until_due": 14})
    [sub] = stripe_subscriptions(shop)
    shop.sandbox.api("POST", "/v1/invoiceitems", {"customer": sub["customer"], "subscription": sub["id"],
                                                  "amount": 700, "currency": "usd"})
    crashing = support.start(shop, METERLINE_TEST_CRASH="after_stripe")
    with pytest.raises(OSError):
        end(support.Api(shop, crashing.stage, acme.key, "acme"), "e1")
    crashing.stage.process.wait()
    assert [s["status"] for s in stripe_subscriptions(shop)] == ["canceled"]
    def again():
        answer = end(acme, "e1")
        return not (answer.status == 409 and answer.code in ("request_in_progress", "tenant_busy")) and answer
    ended = shop.wait_for(again, 40, "it is nobody's any more")
    assert (ended.status, ended.json["status"], ended.json["change"]) == (200, "canceled", "now"), ended
    assert ended.json["last_invoice"]["id"] == last_invoice(shop)["id"]


def test_the_last_invoice_of_who_pays_by_invoice_is_sent(shop, acme):
    acme.post(SUBSCRIPTION, {"plan": "standard", "days_until_due": 14})
    [sub] = stripe_subscriptions(shop)
    shop.sandbox.api("POST", "/v1/invoiceitems", {"customer": sub["customer"], "subscription": sub["id"],
                                                  "amount": 700, "currency": "usd"})
    def sent():
        events = shop.sandbox.api("GET", "/v1/events", {"type": "invoice.sent", "limit": 100}).json["data"]
        return {event["data"]["object"]["id"] for event in events}
    before = sent()
    ended = acme.must("DELETE", SUBSCRIPTION, query={"at": "now"})
    invoice = ended["last_invoice"]
    assert (invoice["status"], invoice["amount"]["amount_minor"], invoice["error"]) == ("open", 700, None)
    assert sent() - before == {invoice["id"]}


def test_whoever_lost_the_lock_ends_nothing(shop, acme):
    acme.post(SUBSCRIPTION, {"plan": "standard"})
    shop.sandbox.fault("delay", method="GET", path="/v1/subscriptions", delay_ms=5000, times=1)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(end(acme, "lost")))
    thread.start()
    shop.wait_for(lambda: shop.value("SELECT count(*) FROM tenant_locks WHERE tenant = 'acme'"), 5, "it has the lock")
    shop.sql("UPDATE tenant_locks SET owner = 'another', lease_until = now() + interval '1 hour'")
    thread.join()
    assert (answers[0].status, answers[0].code) == (409, "tenant_busy"), answers
    assert [s["status"] for s in stripe_subscriptions(shop)] == ["active"]


# Half done

REFUSED = {"status": 400, "applied": False, "stored": True, "times": 1,
           "body": {"error": {"type": "invalid_request_error", "message": "no"}}}


def scheduled_plans(shop):
    """The fee's price of each phase that is to come; None: there is no schedule."""
    [sub] = stripe_subscriptions(shop)
    if not sub["schedule"]:
        return None
    schedule = shop.sandbox.api("GET", "/v1/subscription_schedules/" + sub["schedule"]).json
    names = [shop.sandbox.api("GET", "/v1/prices/" + phase["items"][0]["price"]).json["lookup_key"]
             for phase in schedule["phases"]]
    return names[1:]


def crash_then_repeat(shop, acme, body, text):
    crashing = support.start(shop, METERLINE_TEST_CRASH="after_stripe")
    with pytest.raises(OSError):
        support.Api(shop, crashing.stage, acme.key, "acme").put(SUBSCRIPTION, body, **key(text))
    crashing.stage.process.wait()
    def ask():
        answer = acme.put(SUBSCRIPTION, body, **key(text))
        return not (answer.status == 409 and answer.code in ("request_in_progress", "tenant_busy")) and answer
    return shop.wait_for(ask, 40, "it is nobody's any more")


def test_a_change_that_is_refused_after_a_crash_keeps_what_was_to_come(shop, acme):
    acme.post(SUBSCRIPTION, {"plan": "enterprise"})
    assert acme.must("PUT", SUBSCRIPTION, {"plan": "standard"})["schedule"]
    acme.must("POST", METHOD, {"payment_method": "pm_card_chargeCustomerFail"})
    answer = crash_then_repeat(shop, acme, {"seats": 5, "proration": "always_invoice"}, "up")
    assert answer.status == 402, answer
    assert scheduled_plans(shop) == ["standard"]


def test_an_end_that_is_refused_keeps_what_was_to_come(shop, acme):
    acme.post(SUBSCRIPTION, {"plan": "enterprise"})
    [sub] = stripe_subscriptions(shop)
    acme.must("PUT", SUBSCRIPTION, {"plan": "standard"})
    shop.sandbox.fault("status", method="POST", path="/v1/subscriptions/" + sub["id"], **REFUSED)
    assert acme.delete(SUBSCRIPTION).status == 409
    assert scheduled_plans(shop) == ["standard"]


def test_a_change_at_the_end_that_is_refused_leaves_no_schedule(shop, acme):
    acme.post(SUBSCRIPTION, {"plan": "enterprise"})
    shop.sandbox.fault("status", method="POST", path="/v1/subscription_schedules/", **REFUSED)
    assert acme.put(SUBSCRIPTION, {"plan": "standard"}).status == 409
    assert scheduled_plans(shop) is None


def test_a_change_that_was_done_before_a_crash_is_told_so(shop, acme):
    acme.post(SUBSCRIPTION, {"plan": "standard"})
    answer = crash_then_repeat(shop, acme, {"seats": 5}, "more")
    assert (answer.status, answer.json["change"], answer.json["seats"]) == (200, "now", 5), answer
    [(before, after)] = shop.sql("SELECT detail->'before'->>'seats' AS was, detail->'after'->>'seats' AS is_now"
                                 " FROM billing_history WHERE kind = 'subscription_change_requested'")
    assert (before, after) == ("1", "5")
