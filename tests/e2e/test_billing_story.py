"""The whole story of a customer over HTTP, from the catalog to the end, with all stages running: after each step the API,
PostgreSQL, the quota cache and Stripe's stand-in agree, to the cent and unit.

Stripe's clock begins 28 days ago, so that usage of today lies in the first period, and what a period's end brings comes
by moving it on."""

import re
import urllib.parse
from decimal import Decimal

import pytest

from line.line import TEST_WEBHOOK_SECRET
from line.wait import wait_until
from support import api as support
from support.stripe_setup import set_up

DAY_S = 86400
CUSTOMER = "/api/billing/customer"
METHOD = "/api/billing/customer/payment_method"
CHECKOUT = "/api/billing/checkout/session"
SUBSCRIPTION = "/api/billing/subscription"
QUOTAS = "/api/billing/quotas"
INVOICES = "/api/billing/invoices"
ADDED = ("llm_tokens", "agent_executions", "api_calls")


class Story:
    def __init__(self, line):
        self.line, self.sandbox = line, line.start_sandbox(rate_per_s=0)
        self.used = {metric: 0 for metric in ADDED}
        line.must("meterctl", "catalog", "apply", "deploy/catalogs/metered.json")
        done = set_up(line, self.sandbox, "metered")
        assert done.returncode == 0, done.stderr
        webhookd = line.start_webhookd(WEBHOOKD_RATE_PER_S="1000", WEBHOOKD_HEAL_S="1").wait_ready()
        self.sandbox.webhook(f"http://127.0.0.1:{webhookd.port('webhooks')}/webhooks/stripe", enabled_events=["*"],
                             secret=TEST_WEBHOOK_SECRET)
        line.start_aggregator().wait_ready()
        line.start_sink(SINK_RATE_PER_S="1000", SINK_INTERVAL_S="1").wait_ready()
        api = support.start(line, API_STRIPE_RATE_PER_S="1000", API_ALLOW_LOCAL_PDF="1")
        self.api = api.with_key("editor", "shop", of="acme")

    def stripe(self, path, **params):
        answer = self.sandbox.api("GET", path, params)
        assert answer.status == 200, answer.json
        return answer.json

    def use(self, **quantities):
        told = self.api.must("POST", "/api/billing/usage",
                             [{"metric": metric, "quantity": str(quantity)} for metric, quantity in quantities.items()])
        assert told["accepted"] == len(quantities)
        for metric, quantity in quantities.items():
            self.used[metric] = quantity if metric not in ADDED else self.used[metric] + quantity

    def check(self, metric, quantity=1):
        told = self.api.must("GET", f"{QUOTAS}/check", query={"metric": metric, "quantity": quantity})
        return told["verdict"], told["reason"]

    def move(self, days):
        """Stripe's clock goes on."""
        self.offset += days * DAY_S
        self.sandbox.clock(self.offset)

    # What must agree after each step.

    def agree(self, **expected):
        """expected: members of the subscription as the API shows it."""
        told = self.api.wait(SUBSCRIPTION, lambda s: all(s[k] == v for k, v in expected.items()), f"it is so: {expected}")
        wait_until(lambda: self.differences() == [], 30, "all agree", explain=lambda: str(self.differences()))
        return told

    def differences(self):
        return [*self.of_subscription(), *self.of_quotas(), *self.of_usage(), *self.of_invoices()]

    def of_subscription(self):
        told = self.api.must("GET", SUBSCRIPTION)
        sub = self.stripe(f"/v1/subscriptions/{told['id']}")
        row = self.line.sql("SELECT status, plan, schedule, cancel_at_period_end AS at_end FROM subscriptions "
                            "WHERE stripe_subscription_id = %s", told["id"])[0]
        fee = next(i for i in sub["items"]["data"] if i["price"]["recurring"]["usage_type"] == "licensed")
        at_stripe = (sub["status"], fee["price"]["metadata"]["plan"], sub["schedule"], sub["cancel_at_period_end"])
        stored = (row.status, row.plan, row.schedule, row.at_end)
        over_http = (told["status"], told["plan"], told["schedule"], told["cancel_at_period_end"])
        items = ({i["id"]: i["price"]["id"] for i in sub["items"]["data"]}, {i["id"]: i["price"] for i in told["items"]})
        if not at_stripe == stored == over_http:
            yield "subscription", at_stripe, stored, over_http
        if items[0] != items[1] or fee["quantity"] != told["seats"]:
            yield "items", items

    def of_quotas(self):
        """Limits and usage of today's window: what is shown, what is cached, what is counted."""
        told = self.api.must("GET", QUOTAS)
        cache = self.line.client().hgetall("quota:{acme}")
        cache = {k.decode() if isinstance(k, bytes) else k: v.decode() if isinstance(v, bytes) else v for k, v in cache.items()}
        if (told["plan"], told["status"]) != (cache.get("plan"), cache.get("status")):
            yield "standing", told["plan"], told["status"], cache
        for metric in told["metrics"]:
            name = metric["metric"]
            stored = self.line.sql("SELECT limit_quantity::text AS q, cap FROM usage_quotas WHERE tenant = 'acme' AND metric = %s",
                                   name)
            cached = cache.get(f"{name}.limit")
            shown = "unlimited" if metric["limit"] is None else metric["limit"]
            kept = [("unlimited" if r.q is None else str(Decimal(r.q).normalize().quantize(1)), r.cap) for r in stored]
            kept = kept or [("unlimited", "none")]     # the plan says nothing of it
            if kept != [(cached, metric["cap"])] or shown != cached:
                yield "limit", name, kept, cached, shown
            counted = self.line.value("SELECT trim_scale(get_current_usage('acme', %s))::text", name)
            if name in ADDED and metric["used"] != counted:
                yield "used", name, metric["used"], counted, cache.get(f"{name}.used")

    def of_usage(self):
        """What was used, what is counted, and what Stripe was sent."""
        totals = {r.metric: int(r.q) for r in self.line.sql(
            "SELECT metric, sum(quantity) AS q FROM usage_totals WHERE tenant = 'acme' GROUP BY metric")}
        for metric in ADDED:
            sent = int(self.sandbox.total(self.customer, metric))
            if not totals.get(metric, 0) == self.used[metric] == sent:
                yield "usage", metric, totals.get(metric), self.used[metric], sent

    def of_invoices(self):
        told = {i["id"]: (i["status"], i["number"], i["total"]["amount_minor"], i["amount_due"]["amount_minor"],
                          i["amount_paid"]["amount_minor"]) for i in self.api.must("GET", INVOICES, query={"limit": 100})["data"]}
        made = {i["id"]: (i["status"], i["number"], i["total"], i["amount_due"], i["amount_paid"])
                for i in self.stripe("/v1/invoices", customer=self.customer, limit=100)["data"]}
        stored = {r.id: (r.status, r.number, r.total, r.due, r.paid) for r in self.line.sql(
            "SELECT stripe_invoice_id AS id, status, number, total_minor AS total, amount_due_minor AS due, "
            "amount_paid_minor AS paid FROM invoices WHERE tenant = 'acme'")}
        if not told == made == stored:
            yield "invoices", told, made, stored

    def buy(self, url, card):
        page = self.sandbox.browse(url)
        form = next(f for f in re.findall(r"<form.*?</form>", page.body.decode(), re.S) if ">Subscribe" in f)
        fields = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', form))
        action = re.search(r'action="([^"]*)"', form)[1]
        return self.sandbox.browse(self.sandbox.url + action, urllib.parse.urlencode({**fields, "card": card}).encode())


@pytest.mark.long
def test_a_customers_story(line):
    story = Story(line)
    api = story.api
    story.offset = 0
    story.move(-28)

    # Nobody yet: the plan free, whose hard caps deny.
    customer = api.post(CUSTOMER, {"email": "a@acme.test", "name": "Acme"})
    assert customer.status == 201 and customer.json["status"] == "active"
    story.customer = customer.json["id"]
    assert story.check("storage_gb", 5) == ("deny", "hard_cap") and story.check("api_calls") == ("allow", "ok")
    assert api.get(SUBSCRIPTION).status == 404

    # A checkout; a card that is declined, and one that is not.
    session = api.post(CHECKOUT, {"plan": "standard", "trial_days": 0, "success_url": "https://shop.test/done"}).json
    assert story.buy(session["url"], "pm_card_chargeDeclined").status == 402
    assert story.buy(session["url"], "pm_card_visa").status == 303
    story.agree(status="active", plan="standard", seats=1)
    [first] = api.must("GET", INVOICES)["data"]
    assert first["status"] == "paid" and first["subtotal"]["amount_minor"] == 9900

    # Usage of today; quota and verdicts.
    story.move(28)
    assert story.check("storage_gb", 5) == ("allow", "ok")
    story.use(api_calls=100500, llm_tokens=250000)
    api.wait(QUOTAS, lambda q: {m["metric"]: m["used"] for m in q["metrics"]}["api_calls"] == "100500", "it is counted")
    assert story.check("api_calls") == ("allow", "ok")     # beyond what is included, for money
    assert api.must("GET", "/api/billing/usage/api_calls", query={"window": "day"})["metric"] == "api_calls"
    story.agree(status="active")

    # An upgrade: the preview, and what Stripe makes of it.
    preview = api.must("POST", f"{SUBSCRIPTION}/preview", {"plan": "enterprise"})
    assert preview["total"] is not None and preview["changes_at"] == "now"
    changed = api.must("PUT", SUBSCRIPTION, {"plan": "enterprise"})
    assert changed["change"] == "now"
    story.agree(plan="enterprise")
    story.use(agent_executions=50010)
    story.agree(plan="enterprise")
    upcoming = api.must("GET", f"{INVOICES}/upcoming")
    assert upcoming["total"] is not None, upcoming

    # A downgrade at the period's end, and the invoice of the period that is over.
    down = api.must("PUT", SUBSCRIPTION, {"plan": "standard"})
    assert down["change"] == "period_end" and down["plan"] == "enterprise"
    story.agree(plan="enterprise", schedule=down["schedule"])
    expected = api.must("GET", f"{INVOICES}/upcoming")
    story.move(5)
    story.agree(plan="standard", status="active")
    cycle = next(i for i in api.must("GET", INVOICES)["data"] if i["billing_reason"] == "subscription_cycle")
    assert cycle["status"] == "paid" and cycle["total"] == expected["total"], (cycle, expected)

    # A payment that fails, its grace, and paying.
    assert api.must("POST", METHOD, {"payment_method": "pm_card_chargeCustomerFail"})["paid_invoice"] is None
    story.move(31)
    late = story.agree(status="past_due")
    assert api.must("GET", QUOTAS)["status"] == "grace" and api.must("GET", CUSTOMER)["status"] == "grace"
    failed = api.must("GET", f"{INVOICES}/{late['latest_invoice']}")
    assert failed["status"] == "open" and failed["attempt_count"] >= 1
    paid = api.must("POST", METHOD, {"payment_method": "pm_card_mastercard", "pay_open_invoice": True})
    assert paid["paid_invoice"] == {"id": failed["id"], "status": "paid", "error": None}
    story.agree(status="active")
    assert api.must("GET", QUOTAS)["status"] == "active"

    # The invoice with its PDF.
    told = api.must("GET", f"{INVOICES}/{failed['id']}")
    assert told["status"] == "paid" and sum(line["amount"]["amount_minor"] for line in told["lines"]) == \
        told["subtotal"]["amount_minor"]
    pdf = api.get(f"{INVOICES}/{failed['id']}/pdf")
    assert pdf.status == 200 and pdf.body.startswith(b"%PDF"), pdf
    assert api.of("globex").get(f"{INVOICES}/{failed['id']}/pdf").status == 404

    # The end, with a last invoice of what was used.
    ended = api.must("DELETE", SUBSCRIPTION, query={"at": "now"}, timeout=70)
    assert ended["status"] == "canceled"
    line.wait_for(lambda: list(story.of_subscription()) + list(story.of_usage()) + list(story.of_invoices()) == [], 30,
                  "all agree at the end")
    api.wait(QUOTAS, lambda q: q["plan"] == "free", "the plan is free again")
    assert story.check("storage_gb", 5) == ("deny", "hard_cap")
    who = {r.actor for r in line.sql("SELECT actor FROM billing_history WHERE actor IS NOT NULL")}
    kinds = [r.kind for r in line.sql("SELECT kind FROM billing_history WHERE actor IS NOT NULL ORDER BY history_id")]
    assert who == {"shop"} and {"customer_requested", "checkout_requested", "subscription_change_requested",
                                "payment_method_requested", "subscription_end_requested"} <= set(kinds)
