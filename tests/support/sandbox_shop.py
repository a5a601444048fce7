"""A shop at the sandbox: a product with prices of two plans, a meter, and a customer whose card pays; for tests of the sandbox."""

LEGACY = "2024-06-20"
DAY_S, HOUR_S = 86400, 3600
CARD = {"payment_method": "pm_card_visa", "invoice_settings": {"default_payment_method": "pm_card_visa"}}
FEATURES = {"payment_method_update": {"enabled": True}, "invoice_history": {"enabled": True},
            "subscription_cancel": {"enabled": True, "mode": "at_period_end"}}


class Shop:
    """A product with prices of two plans, a meter, and a customer whose card pays."""

    def __init__(self, sandbox):
        self.sandbox, self.offset_s = sandbox, 0
        self.post("products", id="prod", name="Plan")
        self.meter = self.post("billing/meters", display_name="c", event_name="calls",
                               default_aggregation={"formula": "sum"})["id"]
        self.fee, self.pro = self.price(9900), self.price(49900)
        self.metered = self.price(2, usage_type="metered", meter=self.meter)
        self.customer = self.post("customers", **CARD)["id"]

    def ask(self, method, path, version=None, **params):
        return self.sandbox.api(method, "/v1/" + path, params, version=version)

    def post(self, path, **params):
        answer = self.ask("POST", path, **params)
        assert answer.status == 200, answer.json
        return answer.json

    def refused(self, path, **params):
        answer = self.ask("POST", path, **params)
        assert answer.status >= 400, answer.json
        return answer.error["message"], answer.error.get("param")

    def get(self, path, **params):
        return self.ask("GET", path, **params).json

    def price(self, amount, currency="usd", interval="month", **recurring):
        return self.post("prices", currency=currency, product="prod", unit_amount=amount,
                         recurring={"interval": interval, **recurring})["id"]

    def subscribe(self, *prices, **fields):
        items = [price if isinstance(price, dict) else {"price": price} for price in prices]
        return self.post("subscriptions", **{"customer": self.customer, "items": items, **fields})

    def sub(self, sub):
        return self.get("subscriptions/" + sub["id"])

    def use(self, value):
        self.post("billing/meter_events", event_name="calls", payload={"stripe_customer_id": self.customer, "value": str(value)})

    def pass_s(self, seconds):
        self.offset_s += seconds
        self.sandbox.clock(self.offset_s)

    def until(self, moment):
        self.pass_s(moment - self.sandbox.control("GET", "/clock")["now"])

    def invoices(self, **params):
        return self.get("invoices", limit=100, **params)["data"][::-1]

    def types(self, prefix=""):
        return [e["type"] for e in self.get("events", limit=100)["data"][::-1] if e["type"].startswith(prefix)]

    def set_card(self, card):
        method = self.post(f"payment_methods/{card}/attach", customer=self.customer)["id"]
        self.post("customers/" + self.customer, invoice_settings={"default_payment_method": method})


def half(shop, sub):
    """The middle of the first period."""
    item = sub["items"]["data"][0]
    length = item["current_period_end"] - item["current_period_start"]
    shop.until(item["current_period_start"] + length // 2)
    return item


def rate(shop, percentage, inclusive=False):
    return shop.post("tax_rates", display_name="Tax", percentage=percentage, inclusive=inclusive)["id"]


def coupon(shop, **fields):
    return shop.post("coupons", **fields)["id"]
