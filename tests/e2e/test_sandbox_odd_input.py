"""Whatever the tables of parameters allow, and much that they do not, is answered by the sandbox without a 500."""
import random

import pytest

from sandbox import parameters, routes
from sandbox.client import Sandbox
from support.sandbox_shop import LEGACY, Shop

ROUNDS = 6
NUMBERS = ["0", "1", "-1", "2", "31", "1796000000", "4102444800", "99999999999999999999", "007"]
ODD = ["", "x", "💳", "a" * 6000, "now", "true", "1.5", "-0", "9" * 40, "%00", "inf", "null", "2026-01-01"]


NOUNS = {"customers": "customer", "payment_methods": "payment_method", "subscriptions": "subscription", "prices": "price",
         "invoices": "invoice", "subscription_items": "id", "tax_rates": "tax_rates", "coupons": "coupon",
         "products": "product", "meters": "meter", "sessions": "session", "subscription_schedules": "schedule",
         "configurations": "configuration", "invoiceitems": "invoiceitem", "payment_intents": "payment_intent",
         "setup_intents": "setup_intent", "charges": "charge", "payment_pages": "session"}


class Draw:
    """Parameters at random, from a table and from what there is in the shop."""

    def __init__(self, shop, known):
        self.random, self.shop, self.known = random.Random(5), shop, known

    def value(self, parameter, depth, name=""):
        types = parameter.types
        if name in self.known and "string" in types and self.random.random() < 0.9:
            return self.random.choice(self.known[name])
        if self.random.random() < 0.06:
            return self.random.choice([*ODD, {"a": "b"}, ["a"], {"0": {"x": ["y"]}}])
        if "array" in types and "[]" in parameter.children:
            return [self.value(parameter.children["[]"], depth + 1, name) for _ in range(self.random.choice([0, 1, 1, 2]))]
        if "map" in types:
            return {self.random.choice(["tenant", "plan", "k" * 50]): self.random.choice(["v", ""])}
        if "object" in types and parameter.children and depth < 4:
            return self.some(parameter, depth + 1)
        if parameter.choices:
            return self.random.choice(parameter.choices)
        if {"number", "integer", "decimal"} & set(types):
            return self.random.choice(NUMBERS)
        if "boolean" in types:
            return self.random.choice(["true", "false"])
        return self.random.choice(ODD)

    def some(self, parameter, depth=0):
        share = 0.25 if depth == 0 else 0.5
        return {name: self.value(child, depth, name) for name, child in parameter.children.items()
                if name not in ("**", "expand") and (
                    child.required or name in ("customer", "price") or self.random.random() < share)}

    def path(self, path):
        """With an id of what stands before it; often a true one."""
        steps = path.split("/")
        for i, step in enumerate(steps):
            if step == "{}":
                ids = self.known.get(NOUNS.get(steps[i - 1]))
                steps[i] = self.random.choice(ids) if ids and self.random.random() < 0.95 else "none"
        return "/".join(steps)


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox.start(rate_per_s=0, seed=3) as sandbox:
        yield sandbox


def fill(sandbox):
    """-> (shop, {a parameter's name: ids that suit it})"""
    sandbox.reset()
    shop = Shop(sandbox)
    subs = [shop.subscribe(shop.fee, shop.metered), shop.subscribe(shop.pro, billing_mode={"type": "classic"}),
            shop.subscribe(shop.fee, trial_period_days=10), shop.subscribe(shop.pro)]
    shop.post("invoiceitems", customer=shop.customer, amount=100, currency="usd")
    draft = shop.post("invoices", customer=shop.customer)["id"]
    intent = shop.post("payment_intents", amount=100, currency="usd", payment_method="pm_card_visa", confirm=True)
    session = shop.post("checkout/sessions", mode="subscription", success_url="https://x.test/",
                        line_items=[{"price": shop.fee, "quantity": 1}])["id"]
    once = shop.post("prices", currency="usd", product="prod", unit_amount=5)["id"]
    known = {
        "customer": [shop.customer], "price": [shop.fee, shop.pro, shop.metered, shop.price(3, interval="year"), once],
        "meter": [shop.meter], "subscription": [sub["id"] for sub in subs], "session": [session],
        "invoice": [*(sub["latest_invoice"] for sub in subs), draft], "id": [i["id"] for sub in subs for i in sub["items"]["data"]],
        "tax_rates": [shop.post("tax_rates", display_name="Tax", percentage="8", inclusive=False)["id"]],
        "coupon": [shop.post("coupons", percent_off="10", duration="once")["id"]], "product": ["prod"], "currency": ["usd", "eur"],
        "payment_method": ["pm_card_visa", "pm_card_chargeCustomerFail", "pm_card_threeDSecure2Required"],
        "schedule": [shop.post("subscription_schedules", from_subscription=subs[3]["id"])["id"]],
        "configuration": [shop.post("billing_portal/configurations", features={"invoice_history": {"enabled": True}})["id"]],
        "invoiceitem": [shop.get("invoiceitems")["data"][0]["id"]], "payment_intent": [intent["id"]],
        "charge": [intent["latest_charge"]], "success_url": ["https://x.test/"], "return_url": ["https://x.test/"],
        "setup_intent": [shop.post("setup_intents", customer=shop.customer)["id"]], "from_subscription": [subs[0]["id"]]}
    known["default_tax_rates"], known["default_payment_method"] = known["tax_rates"], [
        shop.get(f"customers/{shop.customer}/payment_methods")["data"][0]["id"]]
    return shop, known


@pytest.mark.parametrize("version", [None, LEGACY])
def test_no_500(sandbox, version):
    shop, known = fill(sandbox)
    draw, asked = Draw(shop, known), {200: 0, 400: 0}
    for turn in range(ROUNDS):
        for method, path, _ in routes.TABLE:
            tree = parameters.TABLES.tree(parameters.OLD if version else parameters.NEW, f"{method} {path}")
            if tree is None or path.startswith("/v2/"):
                continue
            path = draw.path(path)
            params = draw.some(tree)
            answer = sandbox.api(method, path, params, version=version)
            assert answer.status < 500, (method, path, params)
            asked[200 if answer.status == 200 else 400] += 1
        if turn % 5 == 4:
            shop.pass_s(draw.random.randrange(20 * 86400))
        if shop.ask("GET", "customers/" + shop.customer).json.get("deleted"):
            shop, known = fill(sandbox)
            draw.shop, draw.known = shop, known
    assert asked[200] > 100 and asked[400] > 100, asked
