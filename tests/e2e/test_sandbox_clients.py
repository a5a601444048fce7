"""Stripe's official clients work against the sandbox, unmodified."""
import json
import os
import subprocess

import pytest
import stripe

from line import npm
from sandbox.client import Sandbox, wait_for
from sandbox.receiver import Receiver

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.fixture
def sandbox():
    with Sandbox.start(rate_per_s=0, webhook_retry_ms="20,20,20") as sandbox:
        stripe.api_base, stripe.api_key = sandbox.url, "sk_test_python"
        stripe.max_network_retries = 0
        stripe.default_http_client = stripe.http_client.RequestsClient()
        yield sandbox


PAYS = {"payment_method": "pm_card_visa", "invoice_settings": {"default_payment_method": "pm_card_visa"}}


def new_price():
    product = stripe.Product.create(id="prod_calls", name="Calls")
    return stripe.Price.create(currency="usd", unit_amount=500, product=product.id,
                               recurring={"interval": "month"}, lookup_key="calls")


def test_customer_and_subscription(sandbox):
    """What is created can be read, changed, listed and canceled."""
    price = new_price()
    customer = stripe.Customer.create(email="a@b.c", metadata={"tenant": "acme"}, **PAYS)
    sub = stripe.Subscription.create(customer=customer.id, items=[{"price": price.id}],
                                     metadata={"tenant": "acme"})
    assert sub.status == "active" and sub["items"].data[0].price.id == price.id
    assert sub["items"].data[0].current_period_end > sub.created
    found = stripe.Subscription.list(customer=customer.id, expand=["data.customer"])
    assert [s.customer.email for s in found] == ["a@b.c"]
    assert stripe.Price.list(lookup_keys=["calls"]).data[0].id == price.id
    stripe.Customer.modify(customer.id, metadata={"tenant": "", "size": "2"})
    assert stripe.Customer.retrieve(customer.id).metadata.to_dict() == {"size": "2"}
    assert stripe.Subscription.delete(sub.id).status == "canceled"
    assert stripe.Subscription.list(customer=customer.id).data == []
    assert stripe.Customer.delete(customer.id).deleted


def test_legacy_version_has_the_old_shape(sandbox):
    """Up to acacia the period stands on the subscription, and usage records are taken."""
    product = stripe.Product.create(name="Calls")
    version = {"stripe_version": "2024-06-20"}
    price = stripe.Price.create(currency="usd", unit_amount=1, product=product.id, recurring={
        "interval": "month", "usage_type": "metered"}, **version)
    customer = stripe.Customer.create()
    sub = stripe.Subscription.create(customer=customer.id, items=[{"price": price.id}], **version)
    item = sub["items"].data[0]
    assert sub.current_period_end > sub.created and "current_period_end" not in item
    if hasattr(stripe.SubscriptionItem, "create_usage_record"):
        record = stripe.SubscriptionItem.create_usage_record(item.id, quantity=7, action="set",
                                                             timestamp="now", **version)
        rows = stripe.SubscriptionItem.list_usage_record_summaries(item.id, **version)
    else:  # Clients for basil and later have no word for it.
        client = stripe.StripeClient(stripe.api_key, base_addresses={"api": stripe.api_base})
        path = f"/v1/subscription_items/{item.id}/usage_record"
        record = client.raw_request("post", f"{path}s", quantity=7, action="set", timestamp="now", **version).data
        rows = client.raw_request("get", f"{path}_summaries", **version).data
    assert record["quantity"] == 7
    assert rows["data"][0]["total_usage"] == 7


def test_auto_paging(sandbox):
    """Forwards and backwards, every object comes once."""
    made = [stripe.Customer.create(name="c%d" % i).id for i in range(25)]
    listed = [c.id for c in stripe.Customer.list(limit=10).auto_paging_iter()]
    assert listed == made[::-1]
    oldest = stripe.Customer.list(limit=10, ending_before=made[0])
    assert [c.id for c in oldest.auto_paging_iter()] == made[1:]


def test_all_subscriptions_are_listed_with_their_items_to_the_end(sandbox):
    """status=all has those that are canceled; a subscription shows ten of its items, and the list has all."""
    product = stripe.Product.create(name="Calls")
    prices = [stripe.Price.create(currency="usd", unit_amount=n, product=product.id, recurring={"interval": "month"}).id
              for n in range(23)]
    subs = [stripe.Subscription.create(customer=stripe.Customer.create(**PAYS).id, items=[{"price": price} for price in prices])
            for _ in range(3)]
    stripe.Subscription.delete(subs[1].id)
    assert len(stripe.Subscription.list().data) == 2
    found = list(stripe.Subscription.list(status="all", limit=2, expand=["data.latest_invoice"]).auto_paging_iter())
    assert [sub.id for sub in found] == [sub.id for sub in subs[::-1]]
    items = found[0]["items"]
    assert len(items.data) == 10 and items.has_more
    more = stripe.SubscriptionItem.list(subscription=found[0].id, starting_after=items.data[-1].id, limit=100)
    assert [item.price.id for item in items.data + more.data] == prices and not more.has_more


def test_events_of_thirty_days_are_listed(sandbox):
    """Newest first, by type and by time, in pages both ways; what is older is gone."""
    made = [stripe.Customer.create(name=f"c{i}").id for i in range(25)]
    product = stripe.Product.create(name="Calls")
    events = list(stripe.Event.list(limit=10).auto_paging_iter())
    assert [e.data.object.id for e in events] == [product.id, *made[::-1]]
    assert len(list(stripe.Event.list(types=["customer.created"], limit=10).auto_paging_iter())) == 25
    assert [e.type for e in stripe.Event.list(type="product.*")] == ["product.created"]
    newer = stripe.Event.list(limit=10, ending_before=events[-1].id)
    assert [e.id for e in newer.auto_paging_iter()] == [e.id for e in events[-2::-1]]
    since = events[0].created
    assert stripe.Event.list(created={"gte": since - 60, "lt": since + 60}, limit=100).data == events
    assert stripe.Event.list(created={"lt": since - 60}).data == []
    assert stripe.Event.retrieve(events[0].id).type == "product.created"
    sandbox.clock(30 * 86400 + 60)
    assert stripe.Event.list().data == []
    with pytest.raises(stripe.error.InvalidRequestError):
        stripe.Event.retrieve(events[0].id)


def test_one_key_makes_one_object(sandbox):
    """Two calls with one key are one customer; other parameters are refused."""
    first = stripe.Customer.create(name="one", idempotency_key="key-1")
    again = stripe.Customer.create(name="one", idempotency_key="key-1")
    assert first.id == again.id and len(stripe.Customer.list().data) == 1
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    with pytest.raises(stripe.error.IdempotencyError):
        stripe.Customer.create(name="two", idempotency_key="key-1")


def test_lost_answer_is_retried_once(sandbox):
    """The answer got lost after the work was done: the client's own retry finds the same object."""
    sandbox.fault("drop_after_apply", method="POST", path="/v1/customers", times=1)
    stripe.max_network_retries = 2
    customer = stripe.Customer.create(name="one")
    assert [c.id for c in stripe.Customer.list().data] == [customer.id]
    posts = [r for r in sandbox.requests("/v1/customers") if r["method"] == "POST"]
    assert len(posts) == 2 and posts[0]["body"] == posts[1]["body"]
    assert posts[0]["status"] is None and posts[1]["status"] == 200
    assert len({r["headers"]["idempotency-key"] for r in posts}) == 1


def test_errors_become_the_right_classes(sandbox):
    with pytest.raises(stripe.error.InvalidRequestError) as info:
        stripe.Customer.retrieve("cus_nobody")
    assert info.value.code == "resource_missing" and info.value.http_status == 404
    assert info.value.request_id.startswith("req_")
    with pytest.raises(stripe.error.AuthenticationError):
        stripe.Customer.list(api_key="sk_live_x")
    sandbox.fault("status", path="/v1/customers", status=429, times=1)
    with pytest.raises(stripe.error.RateLimitError):
        stripe.Customer.list()
    sandbox.fault("status", path="/v1/customers", status=502, body="<html>", times=1)
    with pytest.raises(stripe.error.APIError):
        stripe.Customer.list()


def test_webhook_is_signed(sandbox):
    """construct_event takes what the sandbox sends, and nothing that was touched on its way."""
    with Receiver() as receiver:
        endpoint = stripe.WebhookEndpoint.create(url=receiver.url,
                                                 enabled_events=["customer.created"])
        customer = stripe.Customer.create(name="one")
        got = receiver.wait()[0]
        event = stripe.Webhook.construct_event(got.body, got.headers["Stripe-Signature"],
                                               endpoint.secret)
        assert event.type == "customer.created" and event.data.object.id == customer.id
        with pytest.raises(stripe.error.SignatureVerificationError):
            stripe.Webhook.construct_event(got.body + b" ", got.headers["Stripe-Signature"],
                                           endpoint.secret)
        wait_for(lambda: stripe.Event.retrieve(event.id).pending_webhooks == 0)
        assert "secret" not in stripe.WebhookEndpoint.retrieve(endpoint.id)


def node_client():
    """The folder that holds npm's stripe."""
    try:
        return npm.folder()
    except npm.Missing as why:
        pytest.skip(str(why))


def test_node_client(sandbox):
    """npm's stripe: objects, meter events in all three ways, summaries, paging, webhooks."""
    script = os.path.join(ROOT, "tests", "sandbox", "node", "check.mjs")
    done = subprocess.run(["node", script, node_client(), sandbox.host, str(sandbox.port)],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen == {
        "tiers": [[100, "0"], [None, "0.25"]],
        "status": "active", "period_on_item": True, "found": [True],
        "duplicate": ["StripeInvalidRequestError", 400,
                      "An event already exists with identifier two."],
        "summaries": [43], "paged": 25,
        "webhook": ["customer.subscription.created", True],
        "tampered": "StripeSignatureVerificationError",
        "report": ["v1.billing.meter.error_report_triggered",
                   "meter_event_customer_not_found", "lost"]}


# Payments, invoices, pages

def test_python_client_reads_what_is_billed(sandbox):
    """Each object by its own class, found again by list, search and expansion."""
    customer = stripe.Customer.create(email="a@b.c", metadata={"tenant": "acme"})
    method = stripe.PaymentMethod.attach("pm_card_visa", customer=customer.id)
    stripe.Customer.modify(customer.id, invoice_settings={"default_payment_method": method.id})
    assert stripe.Customer.search(query="metadata['tenant']:'acme'").data[0].id == customer.id
    rate = stripe.TaxRate.create(display_name="VAT", percentage=8, inclusive=False)
    coupon = stripe.Coupon.create(percent_off=50, duration="once")
    price = new_price()
    sub = stripe.Subscription.create(customer=customer.id, items=[{"price": price.id, "quantity": 2}], default_tax_rates=[rate.id],
                                     discounts=[{"coupon": coupon.id}], expand=["latest_invoice"])
    invoice = sub.latest_invoice
    assert isinstance(invoice, stripe.Invoice) and invoice.status == "paid" and invoice.total == 540
    assert [line.amount for line in invoice.lines.auto_paging_iter()] == [1000]
    assert [i.id for i in stripe.Invoice.list(customer=customer.id).auto_paging_iter()] == [invoice.id]
    upcoming = stripe.Invoice.upcoming(subscription=sub.id, stripe_version="2024-06-20")
    assert upcoming.total == 1080 and upcoming.subscription == sub.id
    schedule = stripe.SubscriptionSchedule.create(from_subscription=sub.id)
    assert stripe.SubscriptionSchedule.release(schedule.id).status == "released"
    stripe.InvoiceItem.create(customer=customer.id, amount=700, currency="usd")
    by_hand = stripe.Invoice.create(customer=customer.id, pending_invoice_items_behavior="include")
    assert stripe.Invoice.pay(stripe.Invoice.finalize_invoice(by_hand.id).id).amount_paid == 700
    session = stripe.checkout.Session.create(mode="subscription", customer=customer.id, success_url="https://x.test/",
                                             line_items=[{"price": price.id, "quantity": 1}])
    assert stripe.checkout.Session.expire(session.id).status == "expired"
    stripe.billing_portal.Configuration.create(features={"invoice_history": {"enabled": True}})
    assert stripe.billing_portal.Session.create(customer=customer.id, return_url="https://x.test/").url
    charge = stripe.Charge.list(customer=customer.id).data[0]
    assert stripe.Refund.create(charge=charge.id).status == "succeeded" and stripe.Charge.retrieve(charge.id).refunded
    with pytest.raises(stripe.error.CardError) as info:
        stripe.PaymentMethod.attach("pm_card_chargeDeclined", customer=customer.id)
    assert (info.value.code, info.value.http_status) == ("card_declined", 402)
    assert stripe.Subscription.delete(sub.id, invoice_now=True, prorate=True).status == "canceled"


def test_node_client_reads_what_is_billed(sandbox):
    script = os.path.join(ROOT, "tests", "sandbox", "node", "billing.mjs")
    done = subprocess.run(["node", script, node_client(), sandbox.host, str(sandbox.port)],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen == {
        "stripe": {"status": "active", "invoice": ["paid", 1080], "preview": 1080, "declined": ["StripeCardError", "card_declined"],
                   "checkout": ["open", True], "portal": True, "schedule": "active", "lines": 1,
                   "events": ["customer.subscription.created", "invoice.paid"]},
        "stripe16": {"status": "active", "invoice": ["paid", 1080], "preview": 1080, "declined": ["StripeCardError", "card_declined"],
                     "checkout": ["open", True], "portal": True, "schedule": "active", "lines": 1,
                     "events": ["customer.subscription.created", "invoice.paid"]}}


def test_an_account_that_sells_other_things(sandbox):
    """500 products beside ours, two prices each: lists have them all, and lookup keys find ours among them."""
    sandbox.bootstrap(other_products=500, tenants=["acme"], price_lookup_key="ours")
    assert len(list(stripe.Product.list(limit=100).auto_paging_iter())) == 501
    assert len(list(stripe.Price.list(limit=100, active=True).auto_paging_iter())) == 1001
    assert [p.product for p in stripe.Price.list(lookup_keys=["ours", "other_7_year"]).data] == ["prod_sandbox", "prod_other_7"]
    sandbox.bootstrap(other_products=500)
    assert len(list(stripe.Product.list(limit=100).auto_paging_iter())) == 501
