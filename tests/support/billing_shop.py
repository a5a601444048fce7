"""A shop that sells by the API: Stripe's stand-in, webhookd, the API, and what its customers do."""

import re
import urllib.parse

from line.line import TEST_WEBHOOK_SECRET
from support import api as support
from support import plans

CUSTOMER = "/api/billing/customer"
METHOD = "/api/billing/customer/payment_method"
SUBSCRIPTION = "/api/billing/subscription"
CHECKOUT = "/api/billing/checkout/session"
PORTAL = "/api/billing/portal/session"
DONE = "https://shop.test/done?session={CHECKOUT_SESSION_ID}"


def make_shop(line):
    """A line with Stripe's stand-in, which tells webhookd of all that happens, and the API."""
    line.start_sandbox(rate_per_s=0)
    webhookd = line.start_webhookd().wait_ready()
    line.sandbox.webhook(f"http://127.0.0.1:{webhookd.port('webhooks')}/webhooks/stripe", enabled_events=["*"],
                         secret=TEST_WEBHOOK_SECRET)
    line.api = support.start(line, API_STRIPE_RATE_PER_S="1000")
    line.editor = line.api.with_key("editor", "shop")
    return line


def make_acme(shop):
    """A tenant with a customer that can pay; the plans are on sale."""
    shop.plans = plans.of_catalog(shop.sandbox)
    acme = shop.editor.of("acme")
    assert acme.post(CUSTOMER, {"email": "a@acme.test"}).status == 201
    acme.must("POST", METHOD, {"payment_method": "pm_card_visa"})
    return acme


def customers(line):
    return line.sandbox.api("GET", "/v1/customers", {"limit": 100}).json["data"]


def stripe_subscriptions(line, customer=None):
    return line.sandbox.api("GET", "/v1/subscriptions", {"status": "all", "limit": 100}).json["data"]


def prices_of(subscription):
    return {item["price"]["lookup_key"] or item["price"]["id"]: item.get("quantity")
            for item in subscription["items"]["data"]}


def key(text):
    return {"headers": {"Idempotency-Key": text}}


def repeat(line, caller, path, body, text):
    """The request again under its key, once the lease of the process that died has passed."""
    def ask():
        answer = caller.post(path, body, **key(text))
        return not (answer.status == 409 and answer.code == "request_in_progress") and answer
    return line.wait_for(ask, 30, "it is nobody's any more")


def buy(line, url, card="pm_card_visa"):
    """A customer fills in the page. Returns the status."""
    page = line.sandbox.browse(url)
    form = next(f for f in re.findall(r"<form.*?</form>", page.body.decode(), re.S) if ">Subscribe" in f)
    fields = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', form))
    action = re.search(r'action="([^"]*)"', form)[1]
    return line.sandbox.browse(line.sandbox.url + action, urllib.parse.urlencode({**fields, "card": card}).encode()).status
