"""A catalog's plans at Stripe's stand-in, as `meterctl stripe setup` makes them: products, meters, prices with lookup keys."""


class Plans:
    """prices: by lookup key. Each plan: (fee in minor units, {metric: (included, price of a unit as text)})."""

    def __init__(self, sandbox):
        self.sandbox = sandbox
        self.prices = {}
        self.meters = {}

    def must(self, path, params):
        made = self.sandbox.api("POST", path, params)
        assert made.status == 200, made.json
        return made.json

    def add(self, plan, fee, usage=None, yearly=None):
        product = self.must("/v1/products", {"id": f"ml_{plan}", "name": plan, "metadata": {"plan": plan}})["id"]
        self.price(plan, product, plan, {"unit_amount": fee, "recurring": {"interval": "month"}})
        if yearly is not None:
            self.price(plan, product, f"{plan}_year", {"unit_amount": yearly, "recurring": {"interval": "year"}})
        for metric, (included, amount) in (usage or {}).items():
            self.price(plan, product, f"{plan}_{metric}", {
                "billing_scheme": "tiered", "tiers_mode": "graduated",
                "tiers": [{"up_to": included, "unit_amount": 0}, {"up_to": "inf", "unit_amount_decimal": amount}],
                "recurring": {"interval": "month", "usage_type": "metered", "meter": self.meter(metric)}}, metric)
        return self

    def meter(self, metric):
        if metric not in self.meters:
            self.meters[metric] = self.must("/v1/billing/meters", {
                "display_name": metric, "event_name": metric, "default_aggregation": {"formula": "sum"},
                "customer_mapping": {"type": "by_id", "event_payload_key": "stripe_customer_id"},
                "value_settings": {"event_payload_key": "value"}})["id"]
        return self.meters[metric]

    def price(self, plan, product, key, params, metric=None):
        metadata = {"plan": plan, **({"metric": metric} if metric else {})}
        self.prices[key] = self.must("/v1/prices", {"product": product, "currency": "usd", "lookup_key": key,
                                                    "metadata": metadata, **params})["id"]


STANDARD = {"llm_tokens": (1000000, "0.001"), "agent_executions": (5000, "10"), "api_calls": (100000, "0.1"),
            "storage_gb": (100, "50"), "user_seats": (25, "500")}
ENTERPRISE = {"llm_tokens": (10000000, "0.0005"), "agent_executions": (50000, "5"), "api_calls": (1000000, "0.05"),
              "storage_gb": (1000, "25")}


def of_catalog(sandbox):
    """The plans of deploy/catalog.json."""
    return Plans(sandbox).add("free", 0).add("standard", 9900, STANDARD, yearly=99000).add("enterprise", 49900, ENTERPRISE)
