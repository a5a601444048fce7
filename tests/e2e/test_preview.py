"""The next invoice of a subscription, of what webhookd stored: discounts, taxes, prorations, schedules, usage."""

import datetime
import json

import pytest

from support.life_stripe import NEW, OLD
from support.webhooks import NOW, Events, customer, deliver

DAY = 86400
START, END = NOW - 10 * DAY - NOW % DAY, NOW + 20 * DAY - NOW % DAY


def utc(unix):
    return datetime.datetime.fromtimestamp(unix, datetime.timezone.utc)


class Told:
    """What Stripe tells of one customer, in the shape of an API version."""

    def __init__(self, line, version):
        self.line, self.version, self.new = line, version, version != OLD
        self.events = Events()
        self.stage = line.start_webhookd(STRIPE_SECRET_KEY=None).wait_ready()
        self.tell("customer.created", customer())

    def tell(self, kind, obj, at=NOW - 20):
        event = self.events.make(kind, obj, at, api_version=self.version)
        deliver(self.stage, event)
        row = self.line.wait_for(lambda: self.line.sql(
            "SELECT state, error FROM webhook_events WHERE event_id = %s AND state <> 'received'", event["id"]), 30, "worked")[0]
        assert (row.state, row.error) == ("processed", None), kind

    def price(self, id, amount, metered=False, **more):
        return {"id": id, "object": "price", "currency": "usd", "unit_amount": amount, "billing_scheme": "per_unit",
                "recurring": {"interval": "month", "interval_count": 1, "usage_type": "metered" if metered else "licensed"},
                "metadata": {}, "product": "prod_1", **more}

    def subscription(self, *items, at=NOW - 20, kind="customer.subscription.updated", **more):
        period = {"current_period_start": START, "current_period_end": END}
        body = {"id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "active", "currency": "usd",
                "start_date": START, "billing_cycle_anchor": START, "metadata": {}, "billing_mode": {"type": "flexible"},
                "items": {"data": [{**item, **(period if self.new else {})} for item in items]},
                **({} if self.new else period), **more}
        self.tell(kind, body, at)

    def invoice_item(self, id, amount, at=NOW - 20, kind="invoiceitem.created", **more):
        body = {"id": id, "object": "invoiceitem", "customer": "cus_1", "amount": amount, "currency": "usd", "date": at,
                "description": "Unused time", "proration": True, "discountable": False, "invoice": None, "quantity": 1,
                "period": {"start": NOW - 20, "end": END}, "tax_rates": []}
        if self.new:
            body["pricing"] = {"price_details": {"price": "price_fee"}}
            body["parent"] = {"subscription_details": {"subscription": "sub_1", "subscription_item": "si_fee"}}
        else:
            body.update(price=self.price("price_fee", 9900), subscription="sub_1", subscription_item="si_fee")
        self.tell(kind, {**body, **more}, at)

    def use(self, metric, quantity):
        self.line.sql("INSERT INTO usage_totals (tenant, metric, period_start, period_end, quantity, version, last_ms, last_entry)"
                      " SELECT 'acme', %s, p.period_start, p.period_end, %s, nextval('usage_version'), 0, '0-1'"
                      "   FROM billing_period('acme', now()) p", metric, quantity)

    def preview(self, **change):
        return self.line.value("SELECT preview_invoice('acme', %s::jsonb, %s)", json.dumps(change), utc(NOW))


@pytest.fixture(params=[OLD, NEW], name="told")
def told_fixture(line, request):
    return Told(line, request.param)


def money(amount):
    return {"amount_minor": amount, "currency": "usd"}


def lines(found):
    return [(each["kind"], each.get("price"), each["quantity"], each["amount"]["amount_minor"]) for each in found["lines"]]


def test_fee_usage_discount_and_tax(told):
    fee = {"id": "si_fee", "price": told.price("price_fee", 9900), "quantity": 2}
    tiers = [{"up_to": 1000, "unit_amount": 0}, {"up_to": None, "unit_amount_decimal": "0.25"}]
    meter = {"id": "si_meter", "price": told.price("price_tokens", None, True, billing_scheme="tiered", tiers_mode="graduated",
                                                   tiers=tiers, metadata={"metric": "llm_tokens"}),
             "tax_rates": [{"id": "txr_2", "percentage": 19.5, "inclusive": True}]}
    coupon = {"id": "off", "duration": "repeating", "percent_off": 12.5}
    discount = {"id": "di_1", "start": START, "end": END + DAY, **({"source": {"coupon": coupon}} if told.new else {"coupon": coupon})}
    told.subscription(fee, meter, discounts=[discount], default_tax_rates=[{"id": "txr_1", "percentage": 8, "inclusive": False}])
    told.use("llm_tokens", "1003.9")
    found = told.preview()
    assert lines(found) == [("fee", "price_fee", "2", 19800), ("usage", "price_tokens", "1000", 0), ("usage", "price_tokens", "3", 1)]
    assert found["lines"][0]["discounts"] == [{"discount": "di_1", "amount": money(2475)}]
    assert found["lines"][0]["taxes"] == [{"tax_rate": "txr_1", "percentage": "8", "inclusive": False, "amount": money(1386)}]
    assert found["subtotal"] == money(19801) and found["discount"] == money(2475) and found["tax"] == money(1386)
    assert found["total"] == found["amount_due"] == money(18712)
    assert found["invoice_at"] == utc(END).strftime("%Y-%m-%dT%H:%M:%SZ") and found["unknown"] == []
    told.subscription(fee, meter, discounts=[{**discount, "id": "di_2", "end": END}], at=NOW - 10)
    assert told.preview()["discount"] == money(0), "it has ended by then"
    told.subscription(fee, meter, discounts=["di_never_told"], at=NOW - 9)
    assert told.preview()["unknown"] == [{"what": "discount", "id": "di_never_told"}]
    told.tell("customer.updated", customer(balance=-700))
    assert told.preview()["starting_balance"] == money(-700) and told.preview()["amount_due"] == money(19801 - 700)


def test_invoice_items_wait_until_an_invoice_takes_them(told):
    told.subscription({"id": "si_fee", "price": told.price("price_fee", 9900), "quantity": 1})
    told.invoice_item("ii_1", -4950)
    told.invoice_item("ii_2", 700, proration=False, discountable=True)
    told.invoice_item("ii_3", 5)
    told.invoice_item("ii_3", 5, at=NOW - 19, kind="invoiceitem.deleted")
    found = told.preview()
    assert lines(found) == [("pending", "price_fee", "1", -4950), ("pending", "price_fee", "1", 700), ("fee", "price_fee", "1", 9900)]
    assert found["total"] == money(5650) and found["lines"][0]["proration"] and found["lines"][0]["description"] == "Unused time"
    told.invoice_item("ii_1", -4950, at=NOW - 18, kind="invoiceitem.updated", invoice="in_1")
    assert lines(told.preview()) == [("pending", "price_fee", "1", 700), ("fee", "price_fee", "1", 9900)]
    details = {"parent": {"subscription_details": {"subscription": "sub_1"}}} if told.new else {"subscription": "sub_1"}
    told.tell("invoice.created", {"id": "in_2", "object": "invoice", "customer": "cus_1", "status": "draft", "currency": "usd",
                                  "amount_due": 700, "amount_paid": 0, "subtotal": 700, "total": 700, "created": NOW - 5,
                                  "billing_reason": "subscription_cycle", "period_start": START, "period_end": NOW - 5, **details})
    assert lines(told.preview()) == [("fee", "price_fee", "1", 9900)], "no event says that it took ii_2"


def test_prorations_follow_from_what_it_was_where_no_item_was_told(told):
    fee = {"id": "si_fee", "price": told.price("price_fee", 9900), "quantity": 1}
    told.subscription(fee, at=START, kind="customer.subscription.created")
    half = (START + END) // 2 - (END - START) // 4   # a quarter of the period has passed
    told.subscription({**fee, "quantity": 3}, at=half)
    found = told.preview()
    assert lines(found) == [("pending", "price_fee", "1", -7425), ("pending", "price_fee", "3", 22275), ("fee", "price_fee", "3", 29700)]
    assert [each.get("derived", False) for each in found["lines"]] == [True, True, False]
    told.invoice_item("ii_1", -7000)
    assert lines(told.preview()) == [("pending", "price_fee", "1", -7000), ("fee", "price_fee", "3", 29700)], "Stripe's word counts"


def test_what_if(told):
    fee = {"id": "si_fee", "price": told.price("price_fee", 9900, lookup_key="standard", metadata={"plan": "standard"}), "quantity": 2}
    meter = {"id": "si_meter", "price": told.price("price_tokens", 2, True, metadata={"metric": "llm_tokens", "plan": "standard"})}
    told.subscription(fee, meter)
    told.tell("price.created", told.price("price_big", 49900, metadata={"plan": "enterprise"}))
    told.tell("price.created", told.price("price_big_tokens", 1, True, metadata={"plan": "enterprise", "metric": "llm_tokens"}))
    told.use("llm_tokens", 40)
    left = END - NOW
    whole = END - START

    def share(amount):
        return (2 * amount * left + whole) // (2 * whole)
    found = told.preview(plan="enterprise")
    assert lines(found) == [("proration", "price_fee", "2", -share(19800)), ("proration", "price_big", "2", share(99800)),
                            ("fee", "price_big", "2", 99800), ("usage", "price_tokens", "40", 80), ("usage", "price_big_tokens", "0", 0)]
    assert found["request"] == [
        ["subscription", "sub_1"], ["subscription_details[items][0][id]", "si_fee"], ["subscription_details[items][0][price]", "price_big"],
        ["subscription_details[items][0][quantity]", "2"], ["subscription_details[items][1][id]", "si_meter"],
        ["subscription_details[items][1][price]", "price_big_tokens"], ["subscription_details[proration_behavior]", "create_prorations"],
        ["subscription_details[proration_date]", str(NOW)]]
    found = told.preview(plan="enterprise", at="period_end", seats=5)
    assert lines(found) == [("fee", "price_big", "5", 249500), ("usage", "price_tokens", "40", 80)]
    assert found["request"][1:] == [
        ["subscription_details[items][0][id]", "si_fee"], ["subscription_details[items][0][price]", "price_big"],
        ["subscription_details[items][0][quantity]", "5"], ["subscription_details[proration_behavior]", "none"]]
    assert lines(told.preview(seats=3))[:3] == [("proration", "price_fee", "2", -share(19800)), ("proration", "price_fee", "3", share(29700)),
                                                ("fee", "price_fee", "3", 29700)]
    assert [told.preview(plan="enterprise")["changes_at"], told.preview(seats=3)["changes_at"]] == ["now", "now"]
    found = told.preview(seats=1)
    assert found["changes_at"] == "period_end" and lines(found)[0] == ("fee", "price_fee", "1", 9900), "what costs less waits"
    assert told.preview(plan="nothing") == {"error": "no price of the plan nothing in usd a month is known"}
    told.tell("subscription_schedule.created", {
        "id": "sub_sched_1", "object": "subscription_schedule", "customer": "cus_1", "status": "active", "subscription": "sub_1",
        "metadata": {}, "phases": [{"start_date": START, "end_date": END, "items": [{"price": "price_fee", "quantity": 2}]},
                                   {"start_date": END, "end_date": END + 30 * DAY, "items": [{"price": "price_big", "quantity": 1}]}]})
    told.subscription(fee, meter, schedule="sub_sched_1", at=NOW - 10)
    found = told.preview()
    assert found["scheduled"] and lines(found) == [("fee", "price_big", "1", 49900), ("usage", "price_tokens", "40", 80)]
    assert found["request"] == [["subscription", "sub_1"]], "Stripe knows its own schedule"


def test_nothing_is_upcoming(told):
    assert told.preview() is None, "no subscription"
    told.subscription({"id": "si_fee", "price": told.price("price_fee", 9900), "quantity": 1}, cancel_at_period_end=True)
    found = told.preview()
    assert (found["upcoming"], found["reason"], found["lines"]) == (False, "ends", [])


def test_beside_stripes_own(told):
    told.subscription({"id": "si_fee", "price": told.price("price_fee", 9900), "quantity": 1},
                      {"id": "si_meter", "price": told.price("price_tokens", 2, True, metadata={"metric": "llm_tokens"})})
    told.use("llm_tokens", 40)

    def line(price, amount, quantity):
        where = {"pricing": {"price_details": {"price": price}}} if told.new else {"price": {"id": price}, "proration": False}
        return {"id": "il_1", "amount": amount, "currency": "usd", "quantity": quantity, "period": {"start": START, "end": END}, **where}

    def compared(*theirs, **more):
        total = sum(each["amount"] for each in theirs)
        invoice = {"subtotal": total, "total": total, "amount_due": total, "lines": {"data": theirs, "has_more": False}, **more}
        return told.line.value("SELECT compare_preview(%s::jsonb, %s::jsonb)", json.dumps(told.preview()), json.dumps(invoice))
    same = compared(line("price_fee", 9900, 1), line("price_tokens", 50, 25), line("price_tokens", 30, 15))
    assert same["difference"] == {"agrees": True, "lines": [], **{name: money(0) for name in ("subtotal", "discount", "tax", "total")}}
    assert same["stripe"]["total"] == money(9980) and len(same["stripe"]["lines"]) == 3 and "request" not in same
    lagging = compared(line("price_fee", 9900, 1), line("price_tokens", 60, 30))
    assert not lagging["difference"]["agrees"] and lagging["difference"]["total"] == money(20)
    assert lagging["difference"]["lines"] == [{"price": "price_tokens", "metric": "llm_tokens", "proration": False, "ours": money(80),
                                               "stripe": money(60), "our_quantity": "40", "stripe_quantity": "30",
                                               "reason": "usage_on_its_way"}]
    other = compared(line("price_tokens", 80, 40), line("price_else", 100, 1))
    assert [(each["price"], each["reason"]) for each in other["difference"]["lines"]] == [
        ("price_else", "only_at_stripe"), ("price_fee", "only_ours")]
    taxed = compared(line("price_fee", 9900, 1), line("price_tokens", 80, 40), total=10778,
                     **({"total_taxes": [{"amount": 798}]} if told.new else {"tax": 798}))
    assert taxed["difference"]["tax"] == money(-798) and taxed["difference"]["lines"] == []
    cut = compared(line("price_fee", 9900, 1), lines={"data": [line("price_fee", 9900, 1)], "has_more": True}, subtotal=9980, total=9980)
    assert cut["stripe"]["lines_cut"] and cut["difference"]["agrees"] and cut["difference"]["lines"] == []
    none = told.line.value("SELECT compare_preview(%s::jsonb, NULL)", json.dumps(told.preview()))
    assert none["stripe"] == {"asked": True, "upcoming": False} and not none["difference"]["agrees"]


# meterctl preview

def meterctl(told, *words, code=0, **env):
    result = told.line.run("meterctl", "preview", *words, **{"STRIPE_SECRET_KEY": None, **env})
    assert result.returncode == code, result.stderr
    return result


def test_the_command_without_stripe(told):
    assert "acme has no subscription" in meterctl(told, "acme", code=1).stderr
    told.subscription({"id": "si_fee", "price": told.price("price_fee", 9900, metadata={"plan": "standard"}), "quantity": 1})
    found = json.loads(meterctl(told, "acme", "--json").stdout)
    assert found["total"] == money(9900) and found["difference"] is None and "request" not in found
    assert found["stripe"] == {"asked": False, "why": "STRIPE_SECRET_KEY is not set"}
    away = json.loads(meterctl(told, "acme", "--json", STRIPE_SECRET_KEY="sk_test_x", STRIPE_API_BASE="http://127.0.0.1:1").stdout)
    assert away["total"] == money(9900) and not away["stripe"]["asked"] and "connect" in away["stripe"]["why"]
    shown = meterctl(told, "acme", "--seats", "2")
    assert "297.00 USD" not in shown.stdout and "198.00 USD" in shown.stdout and "ours alone" in shown.stderr
    assert "no price of the plan enterprise in usd a month is known" in meterctl(told, "acme", "--plan", "enterprise", code=1).stderr
    for words in (["acme", "--at", "noon", "--seats", "1"], ["acme", "--seats", "0"], ["acme", "--at", "now"], []):
        meterctl(told, *words, code=2)
    assert "nobody" in meterctl(told, "nobody", code=1).stderr
