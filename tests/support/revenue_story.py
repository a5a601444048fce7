"""The worked example of revenue figures as events of Stripe's: what happened to each of its subscriptions, and when."""

import json

from line.paths import ROOT
from support.life_stripe import NEW, Stripe, utc

EXAMPLE = json.loads((ROOT / "tests" / "revenue_example.json").read_text(encoding="utf-8"))
GRADUATED = [{"up_to": 25, "flat_amount": 9900, "unit_amount": 0}, {"up_to": None, "unit_amount_decimal": "500"}]
BEFORE = utc(2026, 9, 10)
STANDARD, ENTERPRISE = 9900, 49900


def coupon(id, duration, percent):
    """A discount as the API has it: events of new versions give only its id."""
    return {"id": f"di_{id}", "object": "discount", "source": {"type": "coupon", "coupon": {
        "id": f"c_{id}", "object": "coupon", "percent_off": percent, "amount_off": None, "currency": None, "duration": duration}}}


class Story:
    def __init__(self):
        self.stripe = Stripe(NEW, utc(2026, 9, 1))
        self.customers = {f"c{n:02}": self.stripe.customer(f"c{n:02}") for n in range(1, 21)}
        self.prices = {}
        self.told = []

    def price(self, key, amount, interval="month", count=1, currency="usd", **more):
        name = (key, amount, interval, count, currency)
        if name not in self.prices:
            self.prices[name] = self.stripe.price(key, interval, count, amount=amount, currency=currency, **more)
        return self.prices[name]

    def subscribe(self, customer, amount, at=BEFORE, key="standard", interval="month", count=1, currency="usd", **more):
        self.stripe.now = at
        return self.stripe.subscribe(self.customers[customer], [self.price(key, amount, interval, count, currency)],
                                     currency=currency, **more)

    def change(self, sub, month, day, **fields):
        self.stripe.now = utc(2026, month, day)
        self.stripe.change(sub, **fields)

    def end(self, sub, month, day, **more):
        self.stripe.now = utc(2026, month, day)
        self.stripe.end(sub, **more)

    def tell(self):
        s = self.stripe
        self.subscribe("c01", STANDARD)
        two = self.subscribe("c02", STANDARD)
        self.subscribe("c03", 106_800, interval="year")
        four = self.subscribe("c04", 100, key="seats", quantity=40)
        five = self.subscribe("c05", STANDARD, utc(2026, 10, 27), trial_end=utc(2026, 11, 3))
        six, seven = self.subscribe("c06", STANDARD), self.subscribe("c07", STANDARD, utc(2026, 9, 12))
        eight = self.subscribe("c08", ENTERPRISE, key="enterprise")
        self.subscribe("c09", STANDARD, discounts=[coupon("09", "forever", 50)])
        self.subscribe("c10", ENTERPRISE, utc(2026, 10, 5), key="enterprise", discounts=[coupon("10", "repeating", 20)])
        self.subscribe("c11", 8900, currency="eur")
        s.now = BEFORE
        s.subscribe(self.customers["c12"], [self.price("free", 0), s.price("free_llm_tokens", metered=True, amount=1)])
        self.subscribe("c01", 2000, utc(2026, 11, 2), key="add_on", count=3)
        fourteen, fifteen = self.subscribe("c13", STANDARD), self.subscribe("c14", STANDARD)
        sixteen = self.subscribe("c15", STANDARD, utc(2026, 10, 30), status="incomplete")
        self.subscribe("c16", 1000, utc(2026, 10, 8), key="weekly", interval="week")
        paused = self.subscribe("c17", STANDARD)
        self.subscribe("c18", STANDARD, utc(2026, 10, 2), discounts=[coupon("18", "forever", 100)])
        twenty = self.subscribe("c19", STANDARD, utc(2026, 11, 3))
        self.subscribe("c20", 1, key="graduated", quantity=30)
        s.now = utc(2026, 10, 20)
        s.swap(two, self.price("enterprise", ENTERPRISE))
        self.change(four, 11, 10, items=[dict(four["items"][0], quantity=25)])
        self.change(five, 11, 3, status="active")
        self.change(six, 10, 25, status="past_due")
        self.end(six, 11, 15, reason="payment_failed")
        self.change(seven, 10, 12, cancel_at_period_end=True, cancel_at=utc(2026, 11, 12), canceled_at=utc(2026, 10, 12))
        self.end(seven, 11, 12)
        self.end(eight, 10, 15)
        self.change(fourteen, 10, 28, status="unpaid")
        self.change(fourteen, 11, 20, status="active")
        self.change(fifteen, 11, 5, status="paused")
        self.end(sixteen, 10, 31, status="incomplete_expired")
        self.change(paused, 9, 20, pause_collection={"behavior": "void", "resumes_at": None})
        self.end(twenty, 11, 20)
        return [self.with_tiers(event) for event in s.events]

    def with_tiers(self, event):
        """As the API gives the price of c20; an event leaves the tiers out."""
        for item in event["data"]["object"].get("items", {}).get("data", []):
            if item["price"]["lookup_key"] == "graduated":
                item["price"].update(billing_scheme="tiered", tiers_mode="graduated", tiers=GRADUATED, unit_amount=None,
                                     unit_amount_decimal=None)
        return event


def set_rates(line, rates=EXAMPLE["rates_usd"]):
    for name, day in EXAMPLE["instants"].items():
        line.must("meterctl", "rates", "set", "eur", "usd", rates[name]["eur"], "--from", day)


