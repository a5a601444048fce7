"""Every type of event that has an effect, from a body as Stripe makes it, in the shape of 2024-06-20 and of 2026-10-28."""

import pytest

from support.life_api import LifeApi
from support.life_shop import NAME, TENANT, Shop
from support.life_stripe import DAY, MARK, NEW, OLD
from support.webhooks import NOW

VERSIONS = pytest.mark.parametrize("version", [OLD, NEW])

SUBSCRIPTION_TYPES = {  # type: (what it changes, what is then stored)
    "customer.subscription.created": ({}, {"status": "active", "plan": "standard"}),
    "customer.subscription.updated": ({"cancel_at_period_end": True}, {"cancel_at_period_end": True}),
    "customer.subscription.deleted": ({"status": "canceled", "ended_at": NOW, "reason": "payment_disputed"},
                                      {"status": "canceled", "cancel_reason": "payment_disputed"}),
    "customer.subscription.paused": ({"status": "paused"}, {"status": "paused"}),
    "customer.subscription.resumed": ({"status": "active"}, {"status": "active"}),
    "customer.subscription.trial_will_end": ({"status": "trialing", "trial_end": NOW + 3 * DAY}, {"status": "trialing"}),
    "customer.subscription.pending_update_applied": ({"status": "active"}, {"status": "active"}),
    "customer.subscription.pending_update_expired": ({"status": "active"}, {"status": "active"}),
}
FINAL = {"status": "open", "finalized_at": NOW, "number": "A-1"}
INVOICE_TYPES = {
    "invoice.created": ({}, {"status": "draft", "number": None}),
    "invoice.updated": ({"amount_due": 7, "total": 8, "tax": 1}, {"amount_due_minor": 7, "total_minor": 8, "tax_minor": 1}),
    "invoice.finalized": (FINAL, {"status": "open", "number": "A-1"}),
    "invoice.finalization_failed": ({"last_finalization_error": {"code": "customer_tax_location_invalid"}},
                                    {"status": "draft", "finalization_error": "customer_tax_location_invalid"}),
    "invoice.sent": (FINAL, {"status": "open"}),
    "invoice.paid": ({**FINAL, "status": "paid", "amount_paid": 9900, "paid_at": NOW}, {"status": "paid",
                                                                                        "amount_paid_minor": 9900}),
    "invoice.payment_succeeded": ({**FINAL, "status": "paid", "amount_paid": 9900}, {"status": "paid"}),
    "invoice.payment_failed": ({**FINAL, "attempt_count": 2, "next_payment_attempt": NOW + DAY}, {"attempt_count": 2}),
    "invoice.payment_action_required": (FINAL, {"status": "open"}),
    "invoice.voided": ({**FINAL, "status": "void"}, {"status": "void"}),
    "invoice.marked_uncollectible": ({**FINAL, "status": "uncollectible"}, {"status": "uncollectible"}),
    "invoice.overdue": ({**FINAL, "due_date": NOW - DAY}, {"status": "open"}),
    "invoice.overpaid": ({**FINAL, "status": "paid"}, {"status": "paid"}),
    "invoice.will_be_due": ({**FINAL, "due_date": NOW + DAY}, {"status": "open"}),
    "invoice.deleted": ({}, {"status": "deleted"}),
}
CHECKOUT_TYPES = {
    "checkout.session.completed": {"status": "complete", "payment_status": "paid"},
    "checkout.session.expired": {"status": "expired", "payment_status": "unpaid"},
    "checkout.session.async_payment_succeeded": {"status": "complete", "payment_status": "paid"},
    "checkout.session.async_payment_failed": {"status": "complete", "payment_status": "unpaid"},
}
NOTES = ("payment_method.attached", "payment_method.detached", "payment_method.updated",
         "payment_method.automatically_updated", "charge.dispute.created", "charge.dispute.closed", "invoice.upcoming",
         "billing.alert.triggered")
OTHERS = ("product.created", "product.updated", "coupon.created", "test_helpers.test_clock.ready", "account.updated",
          "entitlements.active_entitlement_summary.updated", "billing_portal.session.created")


def holds(row, wanted):
    assert row and {name: row[name] for name in wanted} == wanted


@pytest.fixture
def without_key(line):
    return lambda version: Shop(line, version, STRIPE_SECRET_KEY=None)


@VERSIONS
def test_customers_and_subscriptions(without_key, version):
    shop = without_key(version)
    assert shop.tell("customer.updated", shop.customer, email="b@x.test") == ("processed", None)
    holds(shop.stored("billing_customers", "stripe_customer_id", shop.customer["id"]), {"email": "b@x.test"})
    for kind, (fields, wanted) in SUBSCRIPTION_TYPES.items():
        sub = dict(shop.sub, id=shop.stripe.id("sub"))
        sub["items"] = [dict(item, id=shop.stripe.id("si")) for item in sub["items"]]
        assert shop.tell(kind, sub, **fields) == ("processed", None), kind
        holds(shop.stored("subscriptions", "stripe_subscription_id", sub["id"]), wanted)
        holds(shop.stored("subscription_items", "stripe_subscription_item_id", sub["items"][0]["id"]),
              {"unit_amount": 9900, "currency": "usd", "billing_interval": "month", "usage_type": "licensed"})
        assert shop.stored("subscription_states", "stripe_subscription_id", sub["id"])
    assert shop.tell("customer.deleted", shop.customer) == ("processed", None)
    assert shop.stored("billing_customers", "stripe_customer_id", shop.customer["id"])["deleted_at"]
    wanted = {kind.replace(".", "_") for kind in SUBSCRIPTION_TYPES} | {"customer_created", "customer_updated",
                                                                       "customer_deleted"}
    assert shop.kinds() == wanted


@VERSIONS
def test_invoices(without_key, version):
    shop = without_key(version)
    made = shop.stripe.invoice(shop.sub)
    for kind, (fields, wanted) in INVOICE_TYPES.items():
        invoice = dict(made, id=shop.stripe.id("in"))
        assert shop.tell(kind, invoice, **fields) == ("processed", None), kind
        row = shop.stored("invoices", "stripe_invoice_id", invoice["id"])
        holds(row, {"stripe_subscription_id": shop.sub["id"].replace(MARK, NAME), "currency": "usd", **wanted})
        assert (row["finalized_at"] is None) == (invoice["finalized_at"] is None)
    assert shop.kinds() >= {kind.replace(".", "_") for kind in INVOICE_TYPES}
    assert shop.line.sql("SELECT kind FROM sink_requests") == [("settle",)]


@VERSIONS
def test_payments_whichever_events_tell_of_them(without_key, version):
    """A charge, an intent, and from 2025 on an invoice payment; each alone, and refunds with any of them."""
    shop = without_key(version)
    invoice = shop.stripe.invoice(shop.sub)
    shop.send(shop.stripe.events[-1])
    for kind, status, fields in (("charge.succeeded", "succeeded", {}), ("charge.failed", "failed", {"failure_code": "lost_card"}),
                                 ("charge.pending", "pending", {}), ("charge.captured", "succeeded", {}),
                                 ("charge.refunded", "succeeded", {"amount_refunded": 900}),
                                 ("charge.updated", "succeeded", {}), ("charge.expired", "failed", {})):
        charge = shop.stripe.charge(dict(invoice, pi=None), "failed" if status == "failed" else "succeeded")
        charge.update(status=status, **fields)
        assert shop.tell(kind, charge) == ("processed", None), kind
        holds(shop.stored("payments", "stripe_payment_id", charge["id"]),
              {"status": status, "amount_minor": 9900, "refunded_minor": fields.get("amount_refunded", 0),
               "failure_code": fields.get("failure_code")})
    for kind, status, wanted in (("payment_intent.succeeded", "succeeded", "succeeded"),
                                 ("payment_intent.payment_failed", "requires_payment_method", "failed"),
                                 ("payment_intent.requires_action", "requires_action", "pending"),
                                 ("payment_intent.processing", "processing", "pending"),
                                 ("payment_intent.canceled", "canceled", "canceled"),
                                 ("payment_intent.created", "requires_confirmation", "pending")):
        intent = shop.stripe.intent(dict(invoice, pi=shop.stripe.id("pi")), status,
                                    "card_declined" if wanted == "failed" else None)
        assert shop.tell(kind, intent) == ("processed", None), kind
        holds(shop.stored("payments", "stripe_payment_id", intent["id"]), {"status": wanted, "amount_minor": 9900})
    if version == NEW:
        intent = shop.stripe.id("pi")
        payment = {"id": shop.stripe.id("inpay"), "object": "invoice_payment", "invoice": invoice["id"], "currency": "usd",
                   "amount_paid": 9900, "amount_requested": 9900, "created": NOW, "is_default": True, "status": "paid",
                   "payment": {"type": "payment_intent", "payment_intent": intent},
                   "status_transitions": {"paid_at": NOW, "canceled_at": None}}
        assert shop.tell("invoice_payment.paid", payment) == ("processed", None)
        holds(shop.stored("payments", "stripe_payment_id", intent),
              {"status": "succeeded", "stripe_invoice_id": invoice["id"].replace(MARK, NAME)})
    charge = shop.stripe.charge(invoice, "succeeded")
    shop.send(shop.stripe.events[-1])
    for kind, amount, status, refunded in (("refund.created", 100, "succeeded", 100), ("refund.updated", 200, "pending", 300),
                                           ("refund.failed", 400, "failed", 300),
                                           ("charge.refund.updated", 50, "succeeded", 350)):
        refund = {"id": shop.stripe.id("re"), "object": "refund", "charge": charge["id"], "payment_intent": invoice["pi"],
                  "amount": amount, "currency": "usd", "status": status, "created": NOW, "metadata": {}}
        assert shop.tell(kind, refund) == ("processed", None), kind
        holds(shop.stored("payments", "stripe_payment_id", invoice["pi"]), {"refunded_minor": refunded})


@VERSIONS
def test_checkouts_prices_notes_and_what_has_no_effect(without_key, version):
    shop = without_key(version)
    for kind, fields in CHECKOUT_TYPES.items():
        session = {"id": shop.stripe.id("cs"), "object": "checkout.session", "customer": shop.customer["id"],
                   "subscription": shop.sub["id"], "invoice": None, "client_reference_id": "acme" + MARK, "metadata": {},
                   "mode": "subscription", "currency": "usd", "amount_total": 9900, "created": NOW, "expires_at": NOW + DAY}
        session.update(fields)
        assert shop.tell(kind, session) == ("processed", None), kind
        holds(shop.stored("checkout_sessions", "stripe_session_id", session["id"]), fields)
    for kind in ("price.created", "price.updated", "price.deleted"):
        assert shop.tell(kind, shop.stripe.price("enterprise")) == ("processed", None), kind
    for kind in NOTES:
        note = {"id": shop.stripe.id("x"), "object": "x", "customer": shop.customer["id"], "metadata": {}}
        if kind == "billing.alert.triggered":
            shop.stripe.emit(kind, dict(note, id="x"))
            del shop.stripe.events[-1]["data"]["object"]["id"]
            shop.send(shop.stripe.events[-1])
            assert shop.state(shop.stripe.events[-1]) == ("processed", None)
        else:
            assert shop.tell(kind, note) == ("processed", None), kind
    assert shop.kinds() >= {kind.replace(".", "_") for kind in (*CHECKOUT_TYPES, *NOTES)}
    for kind in OTHERS:
        state, why = shop.tell(kind, {"id": shop.stripe.id("x"), "object": "x", "metadata": {}})
        assert state == "ignored" and "no effect" in why, kind


# Thin events only name their object.

def thin(shop, kind, obj):
    return {"id": shop.stripe.id("evt"), "object": "v2.core.event", "type": kind, "livemode": False,
            "created": "2026-11-21T06:41:10.920Z",
            "related_object": {"id": obj["id"], "type": obj["object"], "url": "/v1/x"}}


def test_thin_events_are_hints(line):
    api = LifeApi()
    try:
        shop = Shop(line, NEW, STRIPE_API_BASE=api.url, WEBHOOKD_RATE_PER_S=1000)
        invoice = shop.stripe.invoice(shop.sub)
        shop.stripe.finalize(invoice)
        shop.stripe.change(shop.customer, email="c@x.test")
        shop.stripe.change(shop.sub, status="past_due")
        api.lives[NAME] = (shop.stripe.bodies, len(shop.stripe.events))
        for kind, obj in (("v1.customer.updated", shop.customer), ("v1.customer.subscription.updated", shop.sub),
                          ("v1.invoice.finalized", invoice)):
            event = thin(shop, kind, obj)
            shop.send(event)
            assert shop.state(event) == ("processed", None), kind
        holds(shop.stored("billing_customers", "stripe_customer_id", shop.customer["id"]), {"email": "c@x.test"})
        holds(shop.stored("subscriptions", "stripe_subscription_id", shop.sub["id"]), {"status": "past_due"})
        holds(shop.stored("invoices", "stripe_invoice_id", invoice["id"]), {"status": "open"})
        assert shop.kinds() >= {"customer_updated", "customer_subscription_updated", "invoice_finalized"}
        gone = thin(shop, "v1.invoice.paid", {"id": "in_gone", "object": "invoice"})
        shop.send(gone)
        assert shop.state(gone)[0] == "ignored" and "no longer" in shop.state(gone)[1]
    finally:
        api.close()


def test_a_thin_event_without_a_key_says_what_it_needs(without_key):
    shop = without_key(NEW)
    event = thin(shop, "v1.invoice.paid", {"id": "in_1", "object": "invoice"})
    shop.send(event)
    state, why = shop.state(event)
    assert state == "ignored" and "STRIPE_SECRET_KEY" in why


# Since when a payment has failed, if the object that is fetched alone tells that it has.

def test_a_first_event_that_is_old_does_not_make_grace_begin_then(line):
    """`created` of 20 days ago is worked now, and GET says past_due: since the newest invoice was tried, a day ago."""
    def since():
        return shop.line.value("SELECT extract(epoch FROM past_due_since)::bigint FROM subscriptions")

    def status():
        return shop.line.client().hget("quota:{%s}" % TENANT, "status")

    api = LifeApi()
    try:
        shop = Shop(line, NEW, STRIPE_API_BASE=api.url, WEBHOOKD_RATE_PER_S=1000)
        shop.stripe.now = NOW - 20 * DAY
        line.sql("DELETE FROM webhook_events; DELETE FROM stripe_observations; DELETE FROM subscription_items;"
                 "DELETE FROM subscriptions; DELETE FROM billing_history")
        sub = shop.new_subscription()
        created = shop.stripe.events[-1]
        shop.stripe.now = NOW - DAY
        shop.stripe.change(sub, status="past_due")
        body = shop.stripe.bodies[sub["id"]][-1][1]
        body["latest_invoice"] = {"id": "in_1", "object": "invoice", "status_transitions": {"finalized_at": NOW - DAY - 60}}
        api.lives[NAME] = (shop.stripe.bodies, len(shop.stripe.events))
        shop.send(created)
        assert shop.state(created) == ("processed", None)
        assert since() == NOW - DAY - 60
        shop.line.wait_for(lambda: status() == "grace", what="not blocked")
        shop.send(shop.stripe.events[-1])
        assert shop.state(shop.stripe.events[-1]) == ("processed", None)
        assert since() == NOW - DAY, "the event itself"
    finally:
        api.close()
