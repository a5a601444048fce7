"""Subscriptions at random, made at the sandbox by its API as anybody would: plans, seats, tiers, trials, currencies,
discounts, taxes, and changes within a period. Usage is told to the sandbox and written into our ledger alike."""

import datetime
import json
import random

from support.life_stripe import OLD
from support.webhooks import TEST_WEBHOOK_SECRET

UTC = datetime.timezone.utc
DAY = 86400
CURRENCIES = ("usd", "usd", "eur", "jpy", "kwd", "isk")
STEP = {"kwd": 10, "isk": 100}
CYCLES = (("month", 1), ("month", 1), ("month", 1), ("month", 3), ("year", 1), ("week", 2))
METRICS = ("llm_tokens", "api_calls")
REFUSED = "refused"
CARD = {"payment_method": "pm_card_visa", "invoice_settings": {"default_payment_method": "pm_card_visa"}}


def utc(unix):
    return datetime.datetime.fromtimestamp(unix, UTC)


class Shop:
    """A sandbox with a clock of its own, a webhookd that hears of it, and what both share."""

    def __init__(self, line, seed, start):
        self.line, self.random = line, random.Random(seed)
        self.sandbox = line.sandbox
        self.stage = line.start_webhookd(WEBHOOKD_RATE_PER_S="1000").wait_ready()
        self.offset = start - int(datetime.datetime.now(UTC).timestamp())
        self.sandbox.clock(self.offset)
        self.sandbox.control("POST", "/webhook_endpoints", {
            "url": f"http://127.0.0.1:{self.stage.port('webhooks')}/webhooks/stripe", "enabled_events": ["*"],
            "secret": TEST_WEBHOOK_SECRET})
        self.product = self.post("products", name="Plan")["id"]
        self.meters = {metric: self.post("billing/meters", display_name=metric, event_name=f"event_{metric}",
                                         default_aggregation={"formula": "sum"})["id"] for metric in METRICS}
        self.told = 0
        self.offers = set()
        self.subs = []

    def ask(self, method, path, **params):
        return self.sandbox.api(method, "/v1/" + path, params)

    def post(self, path, **params):
        answer = self.ask("POST", path, **params)
        assert answer.status == 200, (path, params, answer.json)
        return answer.json

    def get(self, path, **params):
        answer = self.ask("GET", path, **params)
        assert answer.status == 200, (path, answer.json)
        return answer.json

    def now(self):
        return self.sandbox.control("GET", "/clock")["now"]

    def until(self, moment):
        self.offset += moment - self.now()
        self.sandbox.clock(self.offset)

    def pass_unheard(self, days):
        """Nobody is told any more of what happens; a few days at a time, so that no call takes long."""
        self.stage.close()
        for endpoint in self.get("webhook_endpoints")["data"]:
            self.ask("DELETE", "webhook_endpoints/" + endpoint["id"])
        end = self.now() + days * DAY
        while self.now() < end:
            self.until(min(self.now() + 8 * DAY, end))

    def settle(self):
        """webhookd has worked all that the sandbox told."""
        def is_quiet():
            return all(d["state"] == "delivered" for d in self.sandbox.deliveries()) and not self.line.value("SELECT count(*) FROM webhook_events WHERE state = 'received'")
        self.line.wait_for(is_quiet, 900, "all is told")
        failed = self.line.sql("SELECT type, error FROM webhook_events WHERE state = 'failed'")
        assert not failed, failed[:3]

    # Prices.

    def amount(self, currency, most=60000):
        step = STEP.get(currency, 1)
        return self.random.choice((0, 99, 9900, self.random.randrange(1, most), self.random.randrange(1, most))) // step * step

    def fee(self, currency, cycle, amount=None, **more):
        interval, count = cycle
        cost = {"unit_amount": self.amount(currency) if amount is None else amount}
        kind = self.random.random()
        if amount is None and kind < 0.15:
            cost = {"billing_scheme": "tiered", "tiers_mode": self.random.choice(("graduated", "volume")),
                    "tiers": self.tiers(currency, False)}
        elif amount is None and kind < 0.25 and currency in ("usd", "eur"):
            cost = {"unit_amount_decimal": f"{self.random.randrange(1, 999999) / 1000:.3f}"}
        return self.post("prices", currency=currency, product=self.product, **cost, **more,
                         recurring={"interval": interval, "interval_count": count})

    def tiers(self, currency, fine):
        step, tiers, up_to = STEP.get(currency, 1), [], 0
        for _ in range(self.random.randrange(1, 4)):
            up_to += self.random.randrange(1, 400)
            tiers.append({"up_to": up_to})
        tiers[-1]["up_to"] = "inf"
        for n, tier in enumerate(tiers):
            if fine and self.random.random() < 0.7:
                tier["unit_amount_decimal"] = "0" if n == 0 and self.random.random() < 0.5 else f"{self.random.randrange(1, 99999) / 10000:.4f}"
            else:
                tier["unit_amount"] = self.random.randrange(0, 300) * step
            if self.random.random() < 0.4:
                tier["flat_amount"] = self.random.randrange(0, 3000) * step
        return tiers

    def usage_price(self, currency, cycle, metric, metadata=()):
        interval, count = cycle
        if self.random.random() < 0.3:
            cost = {"unit_amount_decimal": f"{self.random.randrange(1, 999999) / 100000:.5f}"}
        else:
            cost = {"billing_scheme": "tiered", "tiers_mode": self.random.choice(("graduated", "graduated", "volume")),
                    "tiers": self.tiers(currency, True)}
        return self.post("prices", currency=currency, product=self.product, metadata={"metric": metric, **dict(metadata)}, **cost,
                         recurring={"interval": interval, "interval_count": count, "usage_type": "metered", "meter": self.meters[metric]})

    def rates(self):
        made = []
        for inclusive in self.random.choice(((False,), (True,), (False, False), (True, False))):
            percentage = self.random.choice(("8", "19", "7.25", f"{self.random.randrange(1, 250000) / 10000:.4f}"))
            made.append(self.post("tax_rates", display_name="VAT", percentage=percentage, inclusive=inclusive)["id"])
        return made

    def coupon(self, currency):
        what = {"percent_off": self.random.choice(("10", "12.5", "33.33", "100", "50"))}
        if self.random.random() < 0.35:
            what = {"amount_off": self.random.randrange(1, 20000) * STEP.get(currency, 1), "currency": currency}
        when = self.random.choice(({"duration": "forever"}, {"duration": "once"},
                                   {"duration": "repeating", "duration_in_months": self.random.randrange(1, 5)}))
        return self.post("coupons", **what, **when)["id"]

    # Subscriptions.

    def subscribe(self, number):
        chance = self.random.random
        currency, cycle = self.random.choice(CURRENCIES), self.random.choice(CYCLES)
        tenant = f"tenant{number}"
        customer = self.post("customers", metadata={"tenant": tenant}, **CARD)["id"]
        metrics = self.random.sample(METRICS, self.random.choice((0, 1, 1, 2)))
        items = [{"price": self.fee(currency, cycle)["id"], "quantity": self.random.choice((1, 1, 1, 2, 7, 40))}]
        items += [{"price": self.usage_price(currency, cycle, metric)["id"]} for metric in metrics]
        fields = {"billing_mode": {"type": self.random.choice(("flexible", "classic"))}}
        if chance() < 0.4:
            fields["default_tax_rates"] = self.rates()
        if chance() < 0.15:
            items[0]["tax_rates"] = self.rates()
        if chance() < 0.45:
            fields["discounts"] = [{"coupon": self.coupon(currency)} for _ in range(1 if chance() < 0.8 else 2)]
        if chance() < 0.2:
            fields["trial_period_days"] = self.random.choice((1, 2, 14, 20))
        made = self.post("subscriptions", customer=customer, items=items, **fields)
        sub = {"id": made["id"], "tenant": tenant, "customer": customer, "currency": currency, "cycle": cycle, "metrics": metrics,
               "mode": fields["billing_mode"]["type"], "story": [dict(fields, items=items, cycle=cycle, currency=currency)]}
        self.subs.append(sub)
        return sub

    def use(self, sub):
        for metric in sub["metrics"]:
            self.use_of(sub, metric, self.random.choice((0, 1, self.random.randrange(1, 1500))))

    def use_of(self, sub, metric, quantity):
        """As the sink would have sent it, in a minute of its own."""
        if quantity == 0:
            return
        self.told += 1
        at = self.now()
        self.post("billing/meter_events", event_name=f"event_{metric}", identifier=f"ml-{self.told}", timestamp=at,
                  payload={"stripe_customer_id": sub["customer"], "value": str(quantity)})
        sub["story"].append(("use", metric, quantity, at))
        self.line.sql(
            "INSERT INTO usage_submissions (identifier, tenant, metric, transport, stripe_customer_id, event_name, period_start, claim,"
            " usage_at, quantity, body, state) SELECT %s, %s, %s, 'meter_events', %s, %s, p.period_start, %s, to_timestamp(%s), %s, '',"
            " 'sent' FROM billing_period(%s, to_timestamp(%s)) p", f"ml-{self.told}", sub["tenant"], metric, sub["customer"],
            f"event_{metric}", self.told, at, quantity, sub["tenant"], at)
        self.line.sql(
            "INSERT INTO usage_totals (tenant, metric, period_start, period_end, quantity, version, last_ms, last_entry)"
            " SELECT %s, %s, p.period_start, p.period_end, %s, nextval('usage_version'), 0, '0-1' FROM billing_period(%s, to_timestamp(%s)) p"
            " ON CONFLICT (tenant, metric, period_start) DO UPDATE SET quantity = usage_totals.quantity + excluded.quantity",
            sub["tenant"], metric, quantity, sub["tenant"], at)

    def items(self, sub):
        return self.get("subscriptions/" + sub["id"])["items"]["data"]

    def change(self, sub):
        """Something changes now."""
        if self.get("subscriptions/" + sub["id"])["status"] == "canceled":
            return
        wish = self.wish(sub)
        if wish is None:
            return
        answer = self.ask("POST", "subscriptions/" + sub["id"], **wish)
        sub["story"].append((wish, self.now(), answer.status))
        assert answer.status == 200, (wish, answer.json)

    def wish(self, sub):
        kind = self.random.choice(("seats", "seats", "fee", "fee", "usage", "both", "add", "end", "item"))
        items = self.items(sub)
        fee = next(item for item in items if item["price"]["recurring"]["usage_type"] == "licensed")
        metered = [item for item in items if item["price"]["recurring"]["usage_type"] == "metered"]
        new = {"id": fee["id"], "quantity": fee.get("quantity", 1)}
        out = [new]
        if kind == "item":
            amount = self.random.randrange(-3000, 9000) * STEP.get(sub["currency"], 1)
            self.post("invoiceitems", customer=sub["customer"], amount=amount, currency=sub["currency"],
                      **({"subscription": sub["id"]} if self.random.random() < 0.5 else {}))
            sub["story"].append(("item", amount))
            return None
        if kind == "end":
            return {"cancel_at_period_end": True}
        if kind in ("seats", "both"):
            new["quantity"] = self.random.randrange(1, 60)
        if kind in ("fee", "both"):
            new["price"] = self.fee(sub["currency"], sub["cycle"])["id"]
        if kind in ("usage", "both"):
            if not metered:
                return None
            metric = next(m for m in METRICS if self.meters[m] == metered[0]["price"]["recurring"]["meter"])
            out.append({"id": metered[0]["id"], "price": self.usage_price(sub["currency"], sub["cycle"], metric)["id"]})
            if kind == "usage":
                out = out[1:]
        if kind == "add":
            cycle = self.random.choice((sub["cycle"], *CYCLES)) if sub["mode"] == "flexible" else sub["cycle"]   # classic has one
            out = [{"price": self.fee(sub["currency"], cycle)["id"], "quantity": self.random.randrange(1, 4)}]
        return {"items": out, "proration_behavior": self.random.choice(
            ("create_prorations", "create_prorations", "create_prorations", "always_invoice"))}

    # What if it were another plan?

    def offer(self, currency, cycle):
        """The plan enterprise, of that currency and cycle, made at Stripe once."""
        if (currency, cycle) not in self.offers:
            self.offers.add((currency, cycle))
            self.fee(currency, cycle, self.random.randrange(1, 900) * STEP.get(currency, 1) * 7, metadata={"plan": "enterprise"})
            for metric in METRICS:
                self.usage_price(currency, cycle, metric, {"plan": "enterprise"})

    def what_if(self, sub):
        """What to ask for: {} for nothing."""
        kind = self.random.choice(("nothing", "seats", "seats", "plan", "plan", "both", "year"))
        out = {} if kind == "nothing" else {"at": self.random.choice(("now", "now", "period_end"))}
        if kind in ("seats", "both"):
            out["seats"] = self.random.randrange(1, 60)
        if kind in ("plan", "both", "year"):
            out["plan"] = "enterprise"
            if kind == "year":
                out["interval"] = "month" if sub["cycle"] == ("year", 1) else "year"
            self.offer(sub["currency"], (out["interval"], 1) if kind == "year" else sub["cycle"])
        return out

    def ask_preview(self, preview):
        """Stripe's own, of the same question. None: it says that nothing is upcoming. REFUSED: in classic a subscription
        has one interval, so that a plan by the year goes with no other fee by the month."""
        version = self.random.choice((None, OLD))   # both shapes of lines and taxes
        answer = self.sandbox.api("POST", "/v1/invoices/create_preview", dict(preview["request"]), version=version)
        if answer.status == 404 and answer.error.get("code") == "invoice_upcoming_none":
            return None
        if answer.status == 400 and "same billing interval" in answer.error["message"]:
            return REFUSED
        assert answer.status == 200, (preview["request"], answer.json)
        return answer.json

    # What comes of it.

    def preview(self, sub, moment, change=()):
        return self.line.value("SELECT preview_invoice(%s, %s::jsonb, %s)", sub["tenant"], json.dumps(dict(change)), utc(moment))

    def compare(self, ours, theirs):
        return self.line.value("SELECT compare_preview(%s::jsonb, %s::jsonb)", json.dumps(ours), theirs and json.dumps(theirs))

    def next_invoice(self, sub, after):
        """The first one that Stripe makes by itself from then on, whatever is paid of it."""
        found = [i for i in self.get("invoices", subscription=sub["id"], limit=100)["data"] if i["created"] > after
                 and i["billing_reason"] == "subscription_cycle"]
        return min(found, key=lambda i: i["created"]) if found else None


def sums_of(invoice):
    """(subtotal, discount, tax, total) of an invoice of Stripe's."""
    return (invoice["subtotal"], sum(d["amount"] for d in invoice.get("total_discount_amounts") or []),
            sum(t["amount"] for t in invoice.get("total_taxes") or []) + (invoice.get("tax") or 0), invoice["total"])


def own_sums(preview):
    return tuple(preview[name] and preview[name]["amount_minor"] for name in ("subtotal", "discount", "tax", "total"))


def lines_of(invoice):
    out = {}
    for each in invoice["lines"]["data"]:
        details = each.get("pricing") or {}
        price = (details.get("price_details") or {}).get("price") or (each.get("price") or {}).get("id")
        out.setdefault(price, []).append((each["amount"], each.get("quantity")))
    return {price: sorted(each, key=str) for price, each in out.items()}


def own_lines(preview):
    out = {}
    for each in preview["lines"]:
        out.setdefault(each.get("price"), []).append((each["amount"]["amount_minor"], each.get("quantity") and float(each["quantity"])))
    return {price: sorted(each, key=str) for price, each in out.items()}
