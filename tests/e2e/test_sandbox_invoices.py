"""What the sandbox computes: amounts, tiers, taxes and discounts by worked examples; previews against the invoices that
follow; invoices made by hand."""
import random

import pytest

from sandbox.billing import amounts, money
from sandbox.client import Sandbox
from support.sandbox_shop import CARD, DAY_S, HOUR_S, LEGACY, Shop, coupon, half, rate


@pytest.fixture(scope="module")
def started():
    with Sandbox.start(rate_per_s=0, seed=7) as sandbox:
        yield sandbox


@pytest.fixture
def shop(started):
    started.reset()
    return Shop(started)


def tiered(mode, *tiers, **transform):
    return {"billing_scheme": "tiered", "tiers_mode": mode, "transform_quantity": transform or None, "tiers": [
        {"up_to": up_to, "unit_amount_decimal": unit, "flat_amount_decimal": flat} for up_to, unit, flat in tiers]}


GRADUATED = tiered("graduated", (25, "0", "9900"), (None, "500", None))
VOLUME = tiered("volume", (5, "700", None), (10, "650", "100"), (None, "600", None))
PER_THOUSAND = {"billing_scheme": "per_unit", "unit_amount_decimal": "5", "transform_quantity": {"divide_by": 1000, "round": "up"}}


@pytest.mark.parametrize("price, quantity, parts", [
    (GRADUATED, 0, [(0, 9900)]), (GRADUATED, 25, [(25, 9900)]), (GRADUATED, 30, [(25, 9900), (5, 2500)]),
    (VOLUME, 5, [(5, 3500)]), (VOLUME, 6, [(6, 4000)]), (VOLUME, 11, [(11, 6600)]), (VOLUME, 0, [(0, 0)]),
    (PER_THOUSAND, 1001, [(1001, 10)]), (PER_THOUSAND, 1000, [(1000, 5)]), (PER_THOUSAND, -3, [(0, 0)]),
    (tiered("graduated", (100, "0", None), (None, "0.001", None)), 10_000_100, [(100, 0), (10_000_000, 10000)])])
def test_amounts(price, quantity, parts):
    assert [(part.quantity, part.amount) for part in amounts.parts(price, quantity)] == parts


@pytest.mark.parametrize("amount, currency, cents", [
    ("0.5", "usd", 1), ("-0.5", "usd", -1), ("0.4999999999999", "usd", 0), ("1.5", "jpy", 2), ("2.5", "usd", 3),
    ("1234", "kwd", 1230), ("1235", "kwd", 1240), ("-1235", "kwd", -1240), ("149", "isk", 100), ("150", "ugx", 200),
    ("999999999999999999999.5", "usd", 10 ** 21)])
def test_rounding(amount, currency, cents):
    assert money.rounded(money.exact(amount), currency) == cents


@pytest.mark.parametrize("total, weights, parts", [(10, [1, 1, 1], [4, 3, 3]), (-5, [1, 2], [-2, -3]), (7, [0, 0], [0, 0]),
                                                   (100, [99, 1], [99, 1]), (1, [1, 5], [0, 1])])
def test_spreading(total, weights, parts):
    assert money.spread(total, weights) == parts


@pytest.mark.parametrize("amount, currency, text", [(1234, "usd", "12.34 USD"), (-5, "eur", "-0.05 EUR"), (500, "jpy", "500 JPY"),
                                                    (1230, "kwd", "1.230 KWD")])
def test_shown(amount, currency, text):
    assert money.shown(amount, currency) == text


# Taxes and discounts on invoices


def test_taxes(shop):
    """Exclusive ones are added, inclusive ones are inside; each is rounded once an invoice."""
    shop.subscribe(shop.price(333), shop.price(333), default_tax_rates=[rate(shop, "8")])
    added = shop.invoices()[-1]
    assert (added["subtotal"], added["total"], added["total_excluding_tax"]) == (666, 719, 666)
    assert added["total_taxes"][0]["amount"] == 53 and [line["taxes"][0]["amount"] for line in added["lines"]["data"]] == [27, 26]
    shop.subscribe(shop.price(11900), default_tax_rates=[rate(shop, "19", True)])
    inside = shop.invoices()[-1]
    assert (inside["subtotal"], inside["total"], inside["total_excluding_tax"]) == (11900, 11900, 10000)
    assert inside["total_taxes"][0]["tax_behavior"] == "inclusive" and inside["total_taxes"][0]["amount"] == 1900
    shop.subscribe({"price": shop.price(1000), "tax_rates": [rate(shop, "10")]}, shop.price(1000),
                   default_tax_rates=[rate(shop, "20")])
    own = shop.invoices()[-1]
    assert own["total"] == 2000 + 100 + 200 and [t["amount"] for t in own["total_taxes"]] == [100, 200]
    old = shop.ask("GET", "invoices/" + own["id"], LEGACY).json
    assert old["tax"] == 300 and [t["amount"] for t in old["total_tax_amounts"]] == [100, 200]
    shop.post("customers/" + shop.customer, tax_exempt="exempt")
    shop.subscribe(shop.fee, default_tax_rates=[rate(shop, "20")])
    assert shop.invoices()[-1]["total"] == 9900


@pytest.mark.parametrize("fields, totals", [
    ({"percent_off": "20", "duration": "forever"}, [7920] * 4),
    ({"percent_off": "33.33", "duration": "once"}, [6600, 9900, 9900, 9900]),
    ({"amount_off": 1000, "currency": "usd", "duration": "repeating", "duration_in_months": 2}, [8900, 8900, 9900, 9900]),
    ({"amount_off": 20000, "currency": "usd", "duration": "once"}, [0, 9900, 9900, 9900])])
def test_coupons(shop, fields, totals):
    sub = shop.subscribe(shop.fee, discounts=[{"coupon": coupon(shop, **fields)}])
    ends = ["customer.discount.deleted"] * (fields["duration"] == "once")
    assert shop.types("customer.discount") == ["customer.discount.created"] + ends
    shop.pass_s(95 * DAY_S)
    assert [i["total"] for i in shop.invoices()] == totals
    left = shop.sub(sub)["discounts"]
    assert len(left) == (1 if fields["duration"] == "forever" else 0)


def test_discounts_come_before_taxes_and_one_after_the_other(shop):
    tens = [{"coupon": coupon(shop, percent_off="10", duration="forever")} for _ in range(2)]
    sub = shop.subscribe(shop.price(10000), discounts=tens, default_tax_rates=[rate(shop, "10")])
    invoice = shop.invoices()[-1]
    assert [d["amount"] for d in invoice["total_discount_amounts"]] == [1000, 900] and invoice["total"] == 8100 + 810
    shown = shop.get("subscriptions/" + sub["id"], expand=["discounts.source.coupon"])["discounts"]
    assert [d["source"]["coupon"]["percent_off"] for d in shown] == [10, 10]
    old = shop.ask("GET", "subscriptions/" + sub["id"], LEGACY, expand=["discounts"]).json["discounts"]
    assert old[0]["coupon"]["percent_off"] == 10 and "source" not in old[0]


def test_coupons_that_cannot_be_taken(shop):
    gone = coupon(shop, percent_off="10", duration="once", redeem_by=shop.sandbox.control("GET", "/clock")["now"] + 60)
    once = coupon(shop, percent_off="10", duration="once", max_redemptions=1)
    euro = coupon(shop, amount_off=100, currency="eur", duration="once")
    shop.subscribe(shop.fee, discounts=[{"coupon": once}])
    shop.pass_s(61)
    for id, code in ((gone, "coupon_expired"), (once, "coupon_expired"), (euro, None), ("none", "resource_missing")):
        answer = shop.ask("POST", "subscriptions", customer=shop.customer, items=[{"price": shop.fee}], discounts=[{"coupon": id}])
        assert (answer.status, answer.error.get("code"), answer.error["param"]) == (400, code, "discounts[0][coupon]")


@pytest.mark.parametrize("currency, fee, credit", [("jpy", 1001, -501), ("eur", 1001, -501), ("kwd", 10010, -5010)])
def test_currencies_round_to_their_digits(shop, currency, fee, credit):
    shop.customer = shop.post("customers", **CARD)["id"]
    sub = shop.subscribe(shop.price(fee, currency))
    item = half(shop, sub)
    at = item["current_period_start"] + (item["current_period_end"] - item["current_period_start"]) // 2
    shop.post("subscriptions/" + sub["id"], items=[{"id": item["id"], "price": shop.price(0, currency)}], proration_date=at)
    assert [i["amount"] for i in shop.get("invoiceitems")["data"]][::-1] == [credit, 0]
    assert shop.get("customers/" + shop.customer)["currency"] == currency
    assert "cannot combine currencies" in shop.refused("subscriptions", customer=shop.customer, items=[{"price": shop.fee}])[0]


def test_a_credit_pays_later_invoices(shop):
    sub = shop.subscribe(shop.price(50000))
    item = half(shop, sub)
    shop.post("subscriptions/" + sub["id"], items=[{"id": item["id"], "price": shop.fee}], proration_behavior="always_invoice")
    credit = shop.invoices()[-1]
    assert credit["total"] < 0 and (credit["status"], credit["amount_due"]) == ("paid", 0)
    assert shop.get("customers/" + shop.customer)["balance"] == credit["total"] == credit["ending_balance"]
    shop.until(item["current_period_end"] + HOUR_S + 1)
    renewal = shop.invoices()[-1]
    assert (renewal["total"], renewal["starting_balance"]) == (9900, credit["total"])
    assert renewal["amount_due"] == 0 and renewal["ending_balance"] == credit["total"] + 9900


# Previews

def test_the_preview_is_the_next_invoice(shop):
    sub = shop.subscribe(shop.fee, shop.metered)
    shop.use(500)
    preview = shop.post("invoices/create_preview", subscription=sub["id"])
    assert preview["id"].startswith("upcoming_in_") and preview["number"] is None and preview["hosted_invoice_url"] is None
    assert (preview["total"], preview["billing_reason"], preview["status"]) == (9900 + 1000, "upcoming", "draft")
    assert [line["amount"] for line in preview["lines"]["data"]] == [9900, 1000]
    old = shop.ask("GET", "invoices/upcoming", LEGACY, subscription=sub["id"]).json
    assert old["total"] == preview["total"] and "id" not in old and old["subscription"] == sub["id"]
    assert shop.ask("GET", "invoices/upcoming", subscription=sub["id"]).status == 404
    before = shop.types()
    assert shop.post("invoices/create_preview", customer=shop.customer)["total"] == preview["total"]
    assert shop.types() == before and len(shop.invoices()) == 1, "nobody hears of it and nothing is kept"


def test_an_upcoming_invoice_is_told_days_ahead(shop):
    shop.sandbox.set(upcoming_days=7)
    sub = shop.subscribe(shop.fee, shop.metered)
    shop.use(5)
    end = sub["items"]["data"][0]["current_period_end"]
    shop.until(end - 7 * DAY_S - 60)
    assert shop.types("invoice.upcoming") == []
    shop.until(end - 7 * DAY_S)
    event, = shop.get("events", type="invoice.upcoming")["data"]
    assert event["data"]["object"]["total"] == 9910 and event["data"]["object"]["id"].startswith("upcoming_in_")
    shop.until(end + HOUR_S + 1)
    assert shop.types("invoice.upcoming") == ["invoice.upcoming"] and shop.invoices()[-1]["total"] == 9910
    shop.sandbox.set(upcoming_days=0)


def test_no_invoice_is_upcoming(shop):
    sub = shop.subscribe(shop.fee)
    shop.post("subscriptions/" + sub["id"], cancel_at_period_end=True)
    other = shop.post("customers")["id"]
    for given in ({"subscription": sub["id"]}, {"customer": other}):
        answer = shop.ask("POST", "invoices/create_preview", **given)
        assert (answer.status, answer.error["code"]) == (404, "invoice_upcoming_none")


def test_the_preview_of_a_first_invoice(shop):
    given = {"items": [{"price": shop.fee, "quantity": 2}, {"price": shop.metered}], "default_tax_rates": [rate(shop, "8")]}
    preview = shop.post("invoices/create_preview", customer=shop.customer, subscription_details=given)
    shop.post("subscriptions", customer=shop.customer, **given)
    assert preview["total"] == shop.invoices()[-1]["total"] == 19800 + 1584


def test_the_preview_of_the_last_invoice_takes_no_discount_that_has_ended_by_then(shop):
    fee = shop.price(9900, interval="year")
    usage = shop.post("prices", currency="usd", product="prod", billing_scheme="tiered", tiers_mode="graduated",
                      tiers=[{"up_to": "inf", "unit_amount": 2, "flat_amount": 2800}],
                      recurring={"interval": "year", "usage_type": "metered", "meter": shop.meter})["id"]
    coupon = shop.post("coupons", percent_off="12.5", duration="repeating", duration_in_months=4)["id"]
    sub = shop.subscribe(fee, usage, discounts=[{"coupon": coupon}])
    shop.post("subscriptions/" + sub["id"], cancel_at_period_end=True)
    upcoming = shop.post("invoices/create_preview", subscription=sub["id"])
    assert (upcoming["subtotal"], upcoming["total_discount_amounts"]) == (2800, [])


def test_the_preview_of_a_cancelation(shop):
    sub = shop.subscribe(shop.fee, shop.metered)
    shop.use(10)
    item = half(shop, sub)
    preview = shop.post("invoices/create_preview", subscription=sub["id"], subscription_details={"cancel_now": True})
    assert abs(preview["total"] - (20 - 4950)) <= 1
    shop.ask("DELETE", "subscriptions/" + sub["id"], invoice_now=True, prorate=True)
    assert abs(shop.invoices()[-1]["total"] - preview["total"]) <= 1 and item


CHOICES = {
    "currency": ["usd", "eur", "jpy", "kwd"], "mode": ["classic", "flexible"], "quantity": [1, 2, 7, 40],
    "fee": [0, 100, 9900, 12345], "metered": [None, "flat", "graduated", "volume"], "tax": [None, "8", "19", "8.875"],
    "inclusive": [True, False], "off": [None, {"percent_off": "20"}, {"percent_off": "33.33"}, {"amount_off": 1000}],
    "duration": ["forever", "once", "repeating"], "trial": [None, None, None, 5], "used": [0, 1, 99, 100, 12345],
    "change": [None, "price", "quantity", "drop", "interval"], "behavior": ["create_prorations", "always_invoice", "none"],
    "interval": ["month", "month", "week", "year"]}


def random_subscription(shop, draw):
    """-> (subscription, the draw's words)"""
    said = {name: draw.choice(values) for name, values in CHOICES.items()}
    shop.customer = shop.post("customers", **CARD)["id"]
    currency, interval = said["currency"], said["interval"]
    fields = {"billing_mode": {"type": said["mode"]}}
    if said["tax"]:
        fields["default_tax_rates"] = [rate(shop, said["tax"], said["inclusive"])]
    if said["off"]:
        months = {"duration_in_months": 3} if said["duration"] == "repeating" else {}
        money_of = {"currency": currency} if "amount_off" in said["off"] else {}
        fields["discounts"] = [{"coupon": coupon(shop, duration=said["duration"], **said["off"], **months, **money_of)}]
    if said["trial"]:
        fields["trial_period_days"] = said["trial"]
    items = [{"price": shop.price(said["fee"], currency, interval), "quantity": said["quantity"]}]
    if said["metered"]:
        tiers = [{"up_to": 100, "unit_amount": 0, "flat_amount": 500}, {"up_to": "inf", "unit_amount_decimal": "0.37"}]
        shape = {"unit_amount_decimal": "0.37"} if said["metered"] == "flat" else {
            "billing_scheme": "tiered", "tiers_mode": said["metered"], "tiers": tiers}
        items.append({"price": shop.post("prices", currency=currency, product="prod", recurring={
            "interval": interval, "usage_type": "metered", "meter": shop.meter}, **shape)["id"]})
    return shop.post("subscriptions", customer=shop.customer, items=items, **fields), said


def change(shop, sub, said):
    """What changes in the middle of the period, as parameters; None for nothing."""
    item, interval = sub["items"]["data"][0], said["interval"]
    given = {"proration_behavior": said["behavior"]}
    if said["change"] == "price":
        given["items"] = [{"id": item["id"], "price": shop.price(77777, said["currency"], interval), "quantity": 3}]
    elif said["change"] == "quantity":
        given["items"] = [{"id": item["id"], "quantity": item["quantity"] + 2}]
    elif said["change"] == "drop" and len(sub["items"]["data"]) > 1:
        given["items"] = [{"id": sub["items"]["data"][1]["id"], "deleted": True}]
    elif said["change"] == "interval" and len(sub["items"]["data"]) == 1:
        given["items"] = [{"id": item["id"], "price": shop.price(4711, said["currency"], "day")}]
    else:
        return None
    return given


FIELDS = ("subtotal", "total", "amount_due", "total_excluding_tax", "currency", "starting_balance")


def figures(invoice):
    return [invoice[name] for name in FIELDS] + [[line["amount"], line["quantity"]] for line in invoice["lines"]["data"]]


def test_previews_of_random_subscriptions(shop):
    """Of the change, and then of what follows: each is the invoice that comes, line by line."""
    draw, changed = random.Random(11), 0
    for _ in range(150):
        sub, said = random_subscription(shop, draw)
        if said["used"] and said["metered"]:
            shop.use(said["used"])
        item = half(shop, sub)
        given = change(shop, sub, said)
        if given:
            changed += 1
            at = shop.sandbox.control("GET", "/clock")["now"]
            details = {"items": given["items"], "proration_behavior": said["behavior"], "proration_date": at}
            preview = shop.post("invoices/create_preview", subscription=sub["id"], subscription_details=details)
            known = [i["id"] for i in shop.invoices(subscription=sub["id"])]
            shop.post("subscriptions/" + sub["id"], proration_date=at, **given)
            made = [i for i in shop.invoices(subscription=sub["id"]) if i["id"] not in known]
            if made:
                assert abs(made[0]["total"] - preview["total"]) <= 1 + abs(preview["total"]) // 10_000, said
            else:
                now = shop.post("invoices/create_preview", subscription=sub["id"])
                assert figures(now) == figures(preview), said
        preview = shop.post("invoices/create_preview", subscription=sub["id"])
        end = min(i["current_period_end"] for i in shop.sub(sub)["items"]["data"])
        shop.until(end + HOUR_S + 1)
        invoice = next(i for i in shop.invoices(subscription=sub["id"]) if i["created"] == end)
        assert figures(invoice) == figures(preview), said
        assert invoice["status"] == "paid" and item
        shop.ask("DELETE", "subscriptions/" + sub["id"])
    assert changed > 50


# Invoices by hand

def test_an_invoice_by_hand(shop):
    """Items wait, an invoice takes them, is finalized and paid; what is done cannot be done again."""
    shop.post("invoiceitems", customer=shop.customer, amount=2000, currency="usd", description="Setup")
    shop.post("invoiceitems", customer=shop.customer, unit_amount_decimal="1.25", quantity=10, currency="usd")
    draft = shop.post("invoices", customer=shop.customer, pending_invoice_items_behavior="include")
    assert (draft["status"], draft["total"], draft["number"]) == ("draft", 2013, None)
    assert shop.get("invoiceitems", pending=True)["data"] == []
    final = shop.post(f"invoices/{draft['id']}/finalize")
    assert final["status"] == "open" and final["number"].endswith("-0001")
    assert shop.refused(f"invoices/{draft['id']}/finalize")[0]
    paid = shop.post(f"invoices/{draft['id']}/pay", expand=["payments.data.payment.payment_intent"])
    assert paid["status"] == "paid" and paid["payments"]["data"][0]["payment"]["payment_intent"]["status"] == "succeeded"
    intent = paid["payments"]["data"][0]["payment"]["payment_intent"]["id"]
    found = shop.get("invoice_payments", payment={"type": "payment_intent", "payment_intent": intent})["data"]
    assert [payment["invoice"] for payment in found] == [draft["id"]]
    old = shop.ask("GET", "invoices/" + draft["id"], LEGACY, expand=["payment_intent"]).json
    assert old["paid"] and old["payment_intent"]["invoice"] == draft["id"]
    assert shop.ask("POST", f"invoices/{draft['id']}/void").error["code"] == "invoice_not_editable"


@pytest.mark.parametrize("action, status, event", [("void", "void", "invoice.voided"),
                                                   ("mark_uncollectible", "uncollectible", "invoice.marked_uncollectible")])
def test_an_open_invoice_is_given_up(shop, action, status, event):
    shop.post("invoiceitems", customer=shop.customer, amount=2000, currency="usd")
    draft = shop.post("invoices", customer=shop.customer, pending_invoice_items_behavior="include")
    shop.refused(f"invoices/{draft['id']}/{action}")
    shop.post(f"invoices/{draft['id']}/finalize")
    assert shop.post(f"invoices/{draft['id']}/{action}")["status"] == status and event in shop.types()
    if status == "uncollectible":
        assert shop.post(f"invoices/{draft['id']}/pay")["status"] == "paid", "it may still be paid"
    else:
        shop.refused(f"invoices/{draft['id']}/pay")


def test_paid_outside_of_stripe(shop):
    sub = shop.subscribe(shop.fee, collection_method="send_invoice", days_until_due=3)
    sent = shop.post(f"invoices/{sub['latest_invoice']}/send")
    assert sent["status"] == "open" and "invoice.sent" in shop.types()
    paid = shop.post(f"invoices/{sub['latest_invoice']}/pay", paid_out_of_band=True)
    assert (paid["status"], paid["amount_paid"], paid["amount_remaining"]) == ("paid", 0, 0)
    assert shop.types("invoice.pa") == ["invoice.paid"]


def test_lines_beyond_ten_are_at_their_url(shop):
    shop.subscribe(*[shop.price(100) for _ in range(23)])
    invoice = shop.invoices()[-1]
    assert len(invoice["lines"]["data"]) == 10 and invoice["lines"]["has_more"] and invoice["total"] == 2300
    page = shop.get(f"invoices/{invoice['id']}/lines", limit=100)
    assert len(page["data"]) == 23
    assert [line["id"] for line in page["data"][:10]] == [line["id"] for line in invoice["lines"]["data"]]


def test_drafts_of_subscriptions_stay(shop):
    sub = shop.subscribe(shop.fee)
    shop.until(sub["items"]["data"][0]["current_period_end"] + 1)
    draft = shop.invoices()[-1]
    assert shop.ask("DELETE", "invoices/" + draft["id"]).status == 400
    assert shop.post("invoices/" + draft["id"], metadata={"a": "b"}, auto_advance=False)["metadata"] == {"a": "b"}
    shop.pass_s(2 * HOUR_S)
    assert shop.get("invoices/" + draft["id"])["status"] == "draft", "it does not go on by itself"
    by_hand = shop.post("invoices", customer=shop.customer)
    assert shop.ask("DELETE", "invoices/" + by_hand["id"]).json["deleted"]
