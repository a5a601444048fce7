"""What follows from Stripe's events is put into the outbox: once for what happened once, and never as news what is over."""

import json

import pytest

from support.life_shop import NAME, TENANT, Shop
from support.life_stripe import DAY, MARK, NEW, OLD
from support.webhooks import NOW

VERSIONS = pytest.mark.parametrize("version", [OLD, NEW])


@pytest.fixture
def shop_of(line):
    return lambda version: Shop(line, version, STRIPE_SECRET_KEY=None)


def told(shop, *kinds):
    """[(kind, data)] in the order in which it was told, each life's ids with MARK again."""
    rows = shop.line.sql("SELECT kind, data::text AS data, tenant FROM outgoing_messages WHERE channel = 'signal'"
                         " AND (%s = '{}' OR kind = ANY (%s)) ORDER BY created_at, kind", list(kinds), list(kinds))
    assert {row.tenant for row in rows} <= {TENANT}
    return [(row.kind, json.loads(row.data.replace(NAME, MARK))) for row in rows]


def one(shop, kind):
    rows = told(shop, kind)
    assert len(rows) == 1, rows
    return rows[0][1]


@VERSIONS
def test_a_subscription_from_its_start_to_its_end(shop_of, version):
    shop = shop_of(version)
    sub = shop.sub
    started = one(shop, "subscription_started")
    assert (started["subscription"], started["plan"], started["status"]) == (sub["id"], "standard", "active")
    shop.tell("customer.subscription.updated", sub, current_period_start=NOW, current_period_end=NOW + 30 * DAY)
    assert told(shop, "subscription_changed") == [], "a new period is no change"
    shop.tell("customer.subscription.updated", sub, items=[dict(sub["items"][0], quantity=3)])
    changed = one(shop, "subscription_changed")
    assert list(changed["after"]) == ["items"]
    assert (changed["before"]["items"][0]["quantity"], changed["after"]["items"][0]["quantity"]) == (1, 3)
    shop.tell("customer.subscription.updated", sub, cancel_at=NOW + 9 * DAY)
    assert list(told(shop, "subscription_changed")[-1][1]["after"]) == ["cancel_at"]
    ended = {"status": "canceled", "ended_at": NOW, "canceled_at": NOW, "reason": "payment_failed"}
    for _ in range(2):
        shop.tell("customer.subscription.deleted", sub, **ended)
    end = one(shop, "subscription_ended")
    assert (end["subscription"], end["reason"], end["status"]) == (sub["id"], "payment_failed", "canceled")
    assert len(told(shop, "subscription_changed")) == 2 and len(told(shop, "subscription_started")) == 1


@VERSIONS
def test_what_a_late_event_says_of_the_past_is_no_news(shop_of, version):
    """An upgrade, and a payment that failed and then came; the events of before come after those that followed them."""
    shop = shop_of(version)
    before = len(shop.stripe.events)
    shop.stripe.swap(shop.sub, shop.stripe.price("enterprise", amount=49900))
    shop.stripe.wait(seconds=60)
    shop.stripe.swap(shop.sub, shop.stripe.price("standard"))
    invoice = shop.stripe.invoice(shop.sub)
    shop.stripe.finalize(invoice)
    for _ in range(2):
        shop.stripe.wait(seconds=60)
        shop.stripe.fail(invoice)
    shop.stripe.wait(seconds=60)
    shop.stripe.pay(invoice)
    for event in reversed(shop.stripe.events[before:]):
        shop.send(event)
        shop.state(event)
    assert sorted(kind for kind, _ in told(shop)) == ["mrr_update", "payment_received", "subscription_changed",
                                                      "subscription_started"]
    kinds = {row.kind for row in shop.line.sql("SELECT kind FROM billing_history WHERE detail #> '{before,items}' IS NOT NULL")}
    assert kinds == {"customer_subscription_updated"}, "the history has it all"


@VERSIONS
def test_each_failed_attempt_once_and_the_payment_once(shop_of, version):
    shop = shop_of(version)
    invoice = shop.stripe.invoice(shop.sub)
    shop.send(shop.stripe.events[-1])
    shop.tell("invoice.finalization_failed", invoice, last_finalization_error={"code": "customer_tax_location_invalid"})
    assert one(shop, "invoice_finalization_failed")["error"] == "customer_tax_location_invalid"
    shop.tell("invoice.finalized", invoice, status="open", number="A-1", finalized_at=NOW, last_finalization_error=None)
    shop.tell("invoice.payment_action_required", invoice, attempt_count=1)
    assert one(shop, "payment_action_required")["number"] == "A-1"
    for attempt, following in ((1, NOW + DAY), (2, NOW + 3 * DAY), (3, None)):
        for _ in range(2):
            shop.tell("invoice.payment_failed", invoice, attempt_count=attempt, next_payment_attempt=following)
    failed = [data for _, data in told(shop, "payment_failed")]
    assert [data["attempt"] for data in failed] == [1, 2, 3]
    assert [data["next_attempt_at"] is None for data in failed] == [False, False, True]
    assert {data["amount_due_minor"] for data in failed} == {9900}
    begun = len(shop.stripe.events)
    shop.stripe.pay(invoice)
    for event in [*shop.stripe.events[begun:], *shop.stripe.events[begun:]]:
        shop.send(event)
        shop.state(event)
    received = one(shop, "payment_received")
    assert (received["payment"], received["amount_minor"], received["currency"]) == (invoice["pi"], 9900, "usd")


@VERSIONS
def test_trials_disputes_and_what_is_about_to_come(shop_of, version):
    shop = shop_of(version)
    sub = shop.new_subscription()
    sub.update(status="trialing", trial_start=NOW, trial_end=NOW + 3 * DAY)
    shop.tell("customer.subscription.trial_will_end", sub)
    assert one(shop, "trial_ending")["subscription"] == sub["id"]
    shop.tell("customer.subscription.updated", sub, status="active", trial_end=NOW)
    shop.tell("customer.subscription.trial_will_end", sub)
    assert len(told(shop, "trial_ending")) == 1, "it has ended"
    invoice = shop.stripe.invoice(shop.sub)
    charge = shop.stripe.charge(invoice, "succeeded")
    paid = shop.stripe.events[-1]
    dispute = {"id": shop.stripe.id("du"), "object": "dispute", "charge": charge["id"], "metadata": {}, "amount": 9900,
               "payment_intent": charge["payment_intent"], "currency": "usd", "status": "needs_response", "reason": "fraudulent"}
    assert shop.tell("charge.dispute.created", dispute)[0] == "ignored", "nothing says whose the payment is"
    assert told(shop, "dispute_opened") == []
    shop.send(paid)
    opened = shop.line.wait_for(lambda: told(shop, "dispute_opened"))[0][1]
    assert (opened["dispute"], opened["amount_minor"], opened["reason"]) == (dispute["id"], 9900, "fraudulent")
    shop.tell("charge.dispute.closed", dispute, status="lost")
    assert one(shop, "dispute_closed")["status"] == "lost"
    upcoming = {"id": shop.stripe.id("upcoming"), "object": "invoice", "customer": shop.customer["id"], "amount_due": 9900,
                "currency": "usd", "next_payment_attempt": NOW + 7 * DAY, "metadata": {}, "pi": None, "ch": None, "tax": None,
                "subscription": shop.sub["id"], "tenant": {}, "finalized_at": None, "paid_at": None, "status": "draft"}
    for _ in range(2):
        shop.tell("invoice.upcoming", upcoming)
    assert one(shop, "invoice_upcoming")["subscription"] == shop.sub["id"]


def test_two_subscriptions_at_once_are_told_of_once(shop_of):
    shop = shop_of(NEW)
    assert told(shop, "subscription_doubled") == []
    other = shop.new_subscription()
    for _ in range(2):
        shop.send(shop.stripe.events[-1])
        shop.state(shop.stripe.events[-1])
    shop.tell("customer.subscription.updated", other, cancel_at=NOW + DAY)
    assert one(shop, "subscription_doubled")["subscriptions"] == sorted([shop.sub["id"], other["id"]])
    notifier = shop.line.start_notifier().wait_ready()
    assert notifier.wait_log("subscriptions_doubled", first=TENANT)["tenants"] == "1"
    shop.tell("customer.subscription.deleted", other, status="canceled", ended_at=NOW)
    assert shop.line.sql("SELECT * FROM doubled_subscriptions") == []
