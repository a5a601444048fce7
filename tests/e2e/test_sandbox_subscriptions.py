"""The sandbox's subscriptions: items, changes, trials, schedules, payments that fail, and the clock that moves them."""
import json
import time

import pytest

from sandbox.client import Sandbox
from sandbox.receiver import Receiver
from support.sandbox_shop import CARD, DAY_S, HOUR_S, LEGACY, Shop, half


@pytest.fixture(scope="module")
def started():
    with Sandbox.start(rate_per_s=0) as sandbox:
        yield sandbox


@pytest.fixture
def shop(started):
    started.reset()
    started.set(retry_days=[3, 5, 7], after_retries="cancel")
    return Shop(started)


# Making one

def test_the_first_invoice_is_paid_at_once(shop):
    sub = shop.subscribe({"price": shop.fee, "quantity": 3}, shop.metered, metadata={"tenant": "acme"})
    assert sub["status"] == "active" and sub["billing_mode"]["type"] == "flexible"
    fee, metered = sub["items"]["data"]
    assert fee["quantity"] == 3 and "quantity" not in metered
    invoice, = shop.invoices()
    assert invoice["id"] == sub["latest_invoice"] and invoice["status"] == "paid"
    assert (invoice["billing_reason"], invoice["total"], invoice["amount_paid"]) == ("subscription_create", 29700, 29700)
    line, = invoice["lines"]["data"]
    assert line["pricing"]["price_details"]["price"] == shop.fee and line["period"]["end"] == fee["current_period_end"]
    assert invoice["parent"]["subscription_details"] == {"subscription": sub["id"], "metadata": {"tenant": "acme"}}
    assert shop.types("customer.subscription") == ["customer.subscription.created"]
    assert shop.types("invoice") == ["invoice.created", "invoice.finalized", "invoice.updated",
                                     "invoice_payment.paid", "invoice.paid", "invoice.payment_succeeded"]


def test_flexible_makes_no_empty_invoice_and_classic_one_of_nothing(shop):
    assert shop.subscribe(shop.metered)["latest_invoice"] is None
    classic = shop.subscribe(shop.metered, billing_mode={"type": "classic"})
    invoice, = shop.invoices()
    assert (invoice["subscription"] if "subscription" in invoice else classic["latest_invoice"]) == invoice["id"]
    assert invoice["total"] == 0 and [line["quantity"] for line in invoice["lines"]["data"]] == [0]
    old = shop.ask("POST", "subscriptions", LEGACY, customer=shop.customer, items=[{"price": shop.fee}]).json
    assert "billing_mode" not in old and old["current_period_end"]


@pytest.mark.parametrize("items, said, param", [
    ([{"price": "METERED", "quantity": 2}], "cannot set the quantity for metered plans", "items[0][quantity]"),
    ([{"price": "FEE"}, {"price": "FEE"}], "multiple subscription items with the same plan", "items[1][price]"),
    ([{"price": "FEE"}, {"price": "EURO"}], "supports currencies of `eur`", "items[1][price]"),
    ([{"price": "nothing"}], "No such price", "items[0][price]"),
    ([{"price": "FEE", "quantity": -1}], "greater than or equal to 0", "items[0][quantity]")])
def test_items_that_are_refused(shop, items, said, param):
    named = {"METERED": shop.metered, "FEE": shop.fee, "EURO": shop.price(1, "eur")}
    given = [{**item, "price": named.get(item["price"], item["price"])} for item in items]
    message, at = shop.refused("subscriptions", customer=shop.customer, items=given)
    assert said in message and at == param
    assert shop.get("subscriptions", status="all")["data"] == []


def test_twenty_items_in_classic_and_one_interval(shop):
    prices = [{"price": shop.price(0)} for _ in range(21)]
    assert "at most 20 items" in shop.refused("subscriptions", customer=shop.customer, items=prices,
                                              billing_mode={"type": "classic"})[0]
    shop.subscribe(*prices[:20], billing_mode={"type": "classic"})
    mixed = [{"price": shop.fee}, {"price": shop.price(100, interval="year")}]
    assert "same billing interval" in shop.refused("subscriptions", customer=shop.customer, items=mixed,
                                                   billing_mode={"type": "classic"})[0]
    both = shop.subscribe(*mixed)["items"]["data"]
    assert both[1]["current_period_end"] - both[0]["current_period_end"] > 300 * DAY_S


def test_nobody_pays(shop):
    """Something due and no card: nothing is made. Nothing due, a trial, or an invoice that is sent: made."""
    shop.customer = shop.post("customers")["id"]
    answer = shop.ask("POST", "subscriptions", customer=shop.customer, items=[{"price": shop.fee}])
    assert (answer.status, answer.error["code"]) == (400, "resource_missing")
    assert "no attached payment source" in answer.error["message"]
    assert shop.get("subscriptions")["data"] == [] and shop.invoices() == []
    assert shop.subscribe(shop.fee, trial_period_days=7)["status"] == "trialing"
    assert shop.subscribe(shop.price(0))["status"] == "active"
    sent = shop.subscribe(shop.fee, collection_method="send_invoice", days_until_due=7)
    assert sent["status"] == "active"
    assert shop.get("invoices/" + sent["latest_invoice"])["status"] == "draft"
    shop.pass_s(HOUR_S + 1)
    invoice = shop.get("invoices/" + sent["latest_invoice"])
    assert invoice["status"] == "open" and invoice["due_date"] - invoice["created"] == 7 * DAY_S + HOUR_S


@pytest.mark.parametrize("card", ["pm_card_chargeCustomerFail", "pm_card_threeDSecure2Required"])
def test_a_first_payment_that_fails(shop, card):
    """incomplete for 23 hours; with error_if_incomplete nothing is made."""
    shop.set_card(card)
    answer = shop.ask("POST", "subscriptions", customer=shop.customer, items=[{"price": shop.fee}],
                      payment_behavior="error_if_incomplete")
    assert answer.status == 402 and answer.error["type"] == "card_error" and shop.get("subscriptions")["data"] == []
    sub = shop.subscribe(shop.fee)
    assert sub["status"] == "incomplete"
    invoice = shop.get("invoices/" + sub["latest_invoice"])
    assert invoice["status"] == "open" and invoice["next_payment_attempt"] is None
    assert ("invoice.payment_action_required" in shop.types()) == (card != "pm_card_chargeCustomerFail")
    shop.pass_s(23 * HOUR_S)
    assert shop.sub(sub)["status"] == "incomplete_expired"
    assert shop.get("invoices/" + sub["latest_invoice"])["status"] == "void"
    assert shop.types("customer.subscription") == ["customer.subscription.created", "customer.subscription.updated"]


def test_an_incomplete_one_is_paid(shop):
    sub = shop.subscribe(shop.fee, payment_behavior="default_incomplete",
                         payment_settings={"save_default_payment_method": "on_subscription"})
    assert sub["status"] == "incomplete" and shop.get("invoices/" + sub["latest_invoice"])["status"] == "open"
    shop.post(f"invoices/{sub['latest_invoice']}/pay")
    paid = shop.sub(sub)
    assert paid["status"] == "active"
    methods = shop.get(f"customers/{shop.customer}/payment_methods")["data"]
    assert paid["default_payment_method"] == methods[0]["id"]


# Changing it

def test_all_items_in_one_call(shop):
    """{id, price} replaces and begins with one, {price} adds, {id, deleted} removes."""
    sub = shop.subscribe({"price": shop.fee, "quantity": 5}, shop.metered)
    fee, metered = sub["items"]["data"]
    other = shop.price(3, usage_type="metered", meter=shop.meter)
    changed = shop.post("subscriptions/" + sub["id"], items=[
        {"id": fee["id"], "price": shop.pro}, {"id": metered["id"], "deleted": True}, {"price": other}])
    items = changed["items"]["data"]
    assert [(i["price"]["id"], i.get("quantity")) for i in items] == [(shop.pro, 1), (other, None)]
    assert items[0]["id"] == fee["id"] and items[0]["current_period_end"] == fee["current_period_end"]
    event = shop.get("events", type="customer.subscription.updated")["data"][0]["data"]
    assert [i["id"] for i in event["previous_attributes"]["items"]["data"]] == [fee["id"], metered["id"]]
    assert shop.ask("GET", "subscription_items/" + metered["id"]).status == 404
    assert "Cannot add" not in shop.refused("subscriptions/" + sub["id"], items=[{"id": "si_x", "price": shop.fee}])[0]
    assert shop.refused("subscriptions/" + sub["id"], items=[{"id": items[1]["id"], "quantity": 2}])[1] == "items[0][quantity]"
    assert "at least one" in shop.refused("subscriptions/" + sub["id"], items=[
        {"id": i["id"], "deleted": True} for i in items])[0]
    assert shop.sub(sub)["items"]["data"] == items


def waiting(shop):
    return [(i["amount"], i["proration"]) for i in shop.get("invoiceitems", pending=True)["data"][::-1]]


@pytest.mark.parametrize("behavior, pending, invoices", [
    ("create_prorations", [(-4950, True), (24950, True)], []),
    ("always_invoice", [], [20000]),
    ("none", [], [])])
def test_proration(shop, behavior, pending, invoices):
    """At half of the period half of the old fee comes back and half of the new one is owed."""
    sub = shop.subscribe(shop.fee)
    item = half(shop, sub)
    at = item["current_period_start"] + (item["current_period_end"] - item["current_period_start"]) // 2
    shop.post("subscriptions/" + sub["id"], items=[{"id": item["id"], "price": shop.pro}],
              proration_behavior=behavior, **({} if behavior == "none" else {"proration_date": at}))
    assert waiting(shop) == pending
    made = shop.invoices()[1:]
    assert [i["total"] for i in made] == invoices and all(i["status"] == "paid" for i in made)
    shop.until(item["current_period_end"] + HOUR_S + 1)
    last = shop.invoices()[-1]
    assert last["total"] == 49900 + sum(amount for amount, _ in pending) and last["status"] == "paid"


def test_a_metered_price_that_goes(shop):
    """Flexible bills what was used at it; classic forgets it; the new price begins to count."""
    other = shop.price(5, usage_type="metered", meter=shop.meter)
    for mode, old in (("flexible", 100 * 2), ("classic", 0)):
        shop.customer = shop.post("customers", **CARD)["id"]
        sub = shop.subscribe(shop.metered, billing_mode={"type": mode})
        shop.use(100)
        shop.pass_s(DAY_S)
        shop.post("subscriptions/" + sub["id"], items=[{"id": sub["items"]["data"][0]["id"], "price": other}])
        shop.use(7)
        shop.until(sub["items"]["data"][0]["current_period_end"] + HOUR_S + 1)
        assert shop.invoices(customer=shop.customer)[-1]["total"] == old + 7 * 5, mode


def test_from_nothing_to_a_fee_begins_anew(shop):
    sub = shop.subscribe(shop.price(0), shop.metered)
    shop.use(10)
    shop.pass_s(10 * DAY_S)
    free = sub["items"]["data"][0]
    changed = shop.post("subscriptions/" + sub["id"], items=[{"id": free["id"], "price": shop.fee}])
    now = shop.sandbox.control("GET", "/clock")["now"]
    assert abs(changed["billing_cycle_anchor"] - now) <= 2
    assert {i["current_period_start"] for i in changed["items"]["data"]} == {changed["billing_cycle_anchor"]}
    invoice = shop.invoices()[-1]
    assert (invoice["billing_reason"], invoice["status"], invoice["total"]) == ("subscription_update", "paid", 20 + 9900)


def test_another_interval_begins_anew(shop):
    sub = shop.subscribe(shop.fee)
    item = half(shop, sub)
    yearly = shop.price(99000, interval="year")
    changed = shop.post("subscriptions/" + sub["id"], items=[{"id": item["id"], "price": yearly}])
    new = changed["items"]["data"][0]
    assert new["current_period_end"] - new["current_period_start"] in (365 * DAY_S, 366 * DAY_S)
    assert abs(shop.invoices()[-1]["total"] - (99000 - 4950)) <= 1


def test_updates_that_cannot_be_paid(shop):
    """error: nothing changed; pending: kept until it is paid; allowed: past_due."""
    sub = shop.subscribe(shop.fee)
    item = sub["items"]["data"][0]
    shop.set_card("pm_card_chargeCustomerFail")
    change = {"items": [{"id": item["id"], "price": shop.pro}], "proration_behavior": "always_invoice"}
    before = shop.sub(sub)
    answer = shop.ask("POST", "subscriptions/" + sub["id"], payment_behavior="error_if_incomplete", **change)
    assert answer.status == 402 and shop.sub(sub) == before and len(shop.invoices()) == 1
    waits = shop.post("subscriptions/" + sub["id"], payment_behavior="pending_if_incomplete", **change)
    assert waits["pending_update"] and waits["items"]["data"][0]["price"]["id"] == shop.fee and waits["status"] == "active"
    shop.set_card("pm_card_visa")
    shop.post(f"invoices/{waits['latest_invoice']}/pay")
    now = shop.sub(sub)
    assert now["pending_update"] is None and now["items"]["data"][0]["price"]["id"] == shop.pro
    assert "customer.subscription.pending_update_applied" in shop.types()
    shop.set_card("pm_card_chargeCustomerFail")
    shop.post("subscriptions/" + sub["id"], items=[{"id": item["id"], "quantity": 2}], proration_behavior="always_invoice")
    assert shop.sub(sub)["status"] == "past_due" and shop.sub(sub)["items"]["data"][0]["quantity"] == 2


def test_a_pending_update_expires(shop):
    sub = shop.subscribe(shop.fee)
    shop.set_card("pm_card_chargeCustomerFail")
    waits = shop.post("subscriptions/" + sub["id"], payment_behavior="pending_if_incomplete",
                      items=[{"id": sub["items"]["data"][0]["id"], "price": shop.pro}], proration_behavior="always_invoice")
    shop.pass_s(23 * HOUR_S + 1)
    now = shop.sub(sub)
    assert now["pending_update"] is None and now["items"]["data"][0]["price"]["id"] == shop.fee
    assert shop.get("invoices/" + waits["latest_invoice"])["status"] == "void"
    assert "customer.subscription.pending_update_expired" in shop.types()


# Ending it

def test_cancel_at_the_end_and_undo(shop):
    sub = shop.subscribe(shop.fee, shop.metered)
    end = sub["items"]["data"][0]["current_period_end"]
    asked = shop.post("subscriptions/" + sub["id"], cancel_at_period_end=True)
    assert asked["cancel_at"] == end and asked["cancellation_details"]["reason"] == "cancellation_requested"
    undone = shop.post("subscriptions/" + sub["id"], cancel_at_period_end=False)
    assert undone["cancel_at"] is None and undone["canceled_at"] is None and undone["cancellation_details"]["reason"] is None
    shop.post("subscriptions/" + sub["id"], cancel_at_period_end=True)
    shop.use(50)
    shop.until(end + HOUR_S + 1)
    gone = shop.sub(sub)
    assert (gone["status"], gone["ended_at"]) == ("canceled", end)
    assert [(i["status"], i["total"]) for i in shop.invoices()] == [("paid", 9900), ("paid", 100)], "the usage is billed"


def test_cancel_now(shop):
    """Usage is dropped, or billed by an invoice that somebody must collect."""
    for invoice_now, invoices in ((False, [9900]), (True, [9900, 60])):
        shop.customer = shop.post("customers", **CARD)["id"]
        sub = shop.subscribe(shop.fee, shop.metered)
        shop.use(30)
        shop.pass_s(DAY_S)
        gone = shop.ask("DELETE", "subscriptions/" + sub["id"], invoice_now=invoice_now, prorate=False).json
        assert gone["status"] == "canceled" and gone["ended_at"]
        made = shop.invoices(customer=shop.customer)
        assert [i["total"] for i in made] == invoices
    assert made[-1]["status"] == "open" and not made[-1]["auto_advance"] and gone["latest_invoice"] == made[-1]["id"]
    assert shop.post(f"invoices/{made[-1]['id']}/pay")["status"] == "paid"
    again = shop.ask("DELETE", "subscriptions/" + sub["id"])
    assert (again.status, again.error["code"]) == (404, "resource_missing")
    assert "can only update" in shop.refused("subscriptions/" + sub["id"], cancel_at_period_end=True)[0]
    assert shop.post("subscriptions/" + sub["id"], metadata={"a": "b"})["metadata"] == {"a": "b"}


def test_deleting_a_customer_ends_all(shop):
    subs = [shop.subscribe(shop.fee) for _ in range(2)]
    shop.ask("DELETE", "customers/" + shop.customer)
    assert {shop.sub(sub)["status"] for sub in subs} == {"canceled"}
    assert shop.types("customer.subscription.deleted") == ["customer.subscription.deleted"] * 2


# Trials

@pytest.mark.parametrize("missing, status", [("create_invoice", "past_due"), ("pause", "paused"), ("cancel", "canceled")])
def test_a_trial_ends_without_a_card(shop, missing, status):
    shop.customer = shop.post("customers")["id"]
    sub = shop.subscribe(shop.fee, shop.metered, trial_period_days=7,
                         trial_settings={"end_behavior": {"missing_payment_method": missing}})
    assert [i["total"] for i in shop.invoices()] == [0]
    shop.use(1000)
    shop.until(sub["trial_end"] - 3 * DAY_S)
    assert shop.types("customer.subscription.trial_will_end") == ["customer.subscription.trial_will_end"]
    shop.until(sub["trial_end"] + HOUR_S + 1)
    assert shop.sub(sub)["status"] == status
    if missing == "create_invoice":
        assert shop.invoices()[-1]["total"] == 9900, "what was used in the trial is not billed"
    if missing == "pause":
        assert "customer.subscription.paused" in shop.types()
        shop.set_card("pm_card_visa")
        resumed = shop.post(f"subscriptions/{sub['id']}/resume")
        assert resumed["status"] == "active" and shop.invoices()[-1]["total"] == 9900
        assert shop.types("customer.subscription")[-1] == "customer.subscription.resumed"


def test_a_trial_ends_early_with_a_card(shop):
    sub = shop.subscribe(shop.fee, trial_period_days=14)
    shop.pass_s(DAY_S)
    now = shop.post("subscriptions/" + sub["id"], trial_end="now")
    assert now["status"] == "active" and now["billing_cycle_anchor"] == now["trial_end"]
    assert [(i["total"], i["status"]) for i in shop.invoices()] == [(0, "paid"), (9900, "paid")]


# Renewals, and what fails

def test_a_renewal_waits_an_hour_for_usage(shop):
    """A draft at the period's end, still counting; finalized and paid an hour after."""
    sub = shop.subscribe(shop.fee, shop.metered)
    end = sub["items"]["data"][0]["current_period_end"]
    shop.use(10)
    shop.until(end + 60)
    draft = shop.invoices()[-1]
    assert (draft["status"], draft["number"], draft["billing_reason"]) == ("draft", None, "subscription_cycle")
    assert (draft["period_start"], draft["period_end"]) == (sub["items"]["data"][0]["current_period_start"], end)
    assert draft["created"] == end and draft["automatically_finalizes_at"] == end + HOUR_S
    assert draft["hosted_invoice_url"] is None and draft["total"] == 9900 + 20
    shop.post("billing/meter_events", event_name="calls", timestamp=end - 5,
              payload={"stripe_customer_id": shop.customer, "value": "5"})
    shop.use(1)
    shop.until(end + HOUR_S)
    paid = shop.get("invoices/" + draft["id"])
    assert (paid["status"], paid["total"], paid["status_transitions"]["paid_at"]) == ("paid", 9900 + 30, end + HOUR_S)
    assert paid["number"] and paid["hosted_invoice_url"] and paid["invoice_pdf"]
    item = shop.sub(sub)["items"]["data"][0]
    assert item["current_period_start"] == end


def test_the_clock_does_all_that_lies_between(shop):
    sub = shop.subscribe(shop.fee)
    shop.pass_s(100 * DAY_S)
    made = shop.invoices()
    assert len(made) == 4 and all(i["status"] == "paid" for i in made)
    edges = [i["created"] for i in made[1:]]
    assert edges == sorted(edges) and shop.sub(sub)["items"]["data"][0]["current_period_start"] == edges[-1]


@pytest.mark.parametrize("after, status", [("cancel", "canceled"), ("unpaid", "unpaid"), ("past_due", "past_due")])
def test_dunning(shop, after, status):
    shop.sandbox.set(after_retries=after)
    sub = shop.subscribe(shop.fee)
    end = sub["items"]["data"][0]["current_period_end"]
    shop.set_card("pm_card_chargeCustomerFail")
    shop.until(end + HOUR_S + 1)
    invoice = shop.invoices()[-1]
    assert shop.sub(sub)["status"] == "past_due" and shop.get("customers/" + shop.customer)["delinquent"]
    assert (invoice["status"], invoice["attempt_count"], invoice["amount_remaining"]) == ("open", 1, 9900)
    assert invoice["next_payment_attempt"] == end + HOUR_S + 3 * DAY_S
    shop.pass_s(15 * DAY_S)
    invoice = shop.get("invoices/" + invoice["id"])
    assert invoice["attempt_count"] == 4 and invoice["next_payment_attempt"] is None
    gone = shop.sub(sub)
    assert gone["status"] == status
    if after == "cancel":
        assert gone["cancellation_details"]["reason"] == "payment_failed"
    assert shop.types("invoice.payment_failed") == ["invoice.payment_failed"] * 4


def test_a_late_payment_recovers(shop):
    sub = shop.subscribe(shop.fee)
    shop.set_card("pm_card_chargeCustomerFail")
    shop.until(sub["items"]["data"][0]["current_period_end"] + HOUR_S + 1)
    invoice = shop.invoices()[-1]
    answer = shop.ask("POST", f"invoices/{invoice['id']}/pay")
    assert (answer.status, answer.error["code"]) == (402, "card_declined")
    shop.post(f"invoices/{invoice['id']}/pay", payment_method="pm_card_visa")
    assert shop.sub(sub)["status"] == "active" and not shop.get("customers/" + shop.customer)["delinquent"]


# Schedules

def test_a_plan_changes_at_the_periods_end(shop):
    """The old price's usage is closed with its period, nothing is prorated, and the schedule lets go."""
    sub = shop.subscribe(shop.pro, shop.metered)
    end = sub["items"]["data"][0]["current_period_end"]
    schedule = shop.post("subscription_schedules", from_subscription=sub["id"])
    phase = schedule["phases"][0]
    assert phase["end_date"] == end and [i["price"] for i in phase["items"]] == [shop.pro, shop.metered]
    cheaper = shop.price(1, usage_type="metered", meter=shop.meter)
    schedule = shop.post("subscription_schedules/" + schedule["id"], end_behavior="release", phases=[
        {"items": [{"price": shop.pro, "quantity": 1}, {"price": shop.metered}], "start_date": phase["start_date"],
         "end_date": end},
        {"items": [{"price": shop.fee, "quantity": 1}, {"price": cheaper}], "duration": {"interval": "month"}}])
    assert shop.sub(sub)["schedule"] == schedule["id"]
    assert "managed by the subscription schedule" in shop.refused(
        "subscriptions/" + sub["id"], items=[{"price": shop.fee}])[0]
    shop.use(100)
    shop.until(end + HOUR_S + 1)
    now = shop.sub(sub)
    assert [i["price"]["id"] for i in now["items"]["data"]] == [shop.fee, cheaper]
    assert [i["id"] for i in now["items"]["data"]] == [i["id"] for i in sub["items"]["data"]]
    assert shop.invoices()[-1]["total"] == 9900 + 200
    shop.until(now["items"]["data"][0]["current_period_end"] + HOUR_S + 1)
    assert shop.sub(sub)["schedule"] is None
    assert shop.get("subscription_schedules/" + schedule["id"])["status"] == "completed"
    assert shop.sub(sub)["status"] == "active" and shop.invoices()[-1]["total"] == 9900


def test_what_a_phase_leaves_out_is_unset(shop):
    """And of the phase that runs, at once."""
    rate = shop.post("tax_rates", display_name="VAT", percentage="20", inclusive=False)["id"]
    shop.post("coupons", id="off", percent_off=50, duration="forever")
    sub = shop.subscribe(shop.pro, default_tax_rates=[rate], discounts=[{"coupon": "off"}], trial_period_days=3)
    schedule = shop.post("subscription_schedules", from_subscription=sub["id"])
    phase = schedule["phases"][0]
    assert [d["discount"] for d in phase["discounts"]] == sub["discounts"] and phase["trial_end"] == sub["trial_end"]
    told = {"items": [{"price": shop.pro}], "start_date": phase["start_date"], "end_date": phase["end_date"]}
    kept = {"default_tax_rates": [rate], "discounts": [{"discount": sub["discounts"][0]}]}
    shop.post("subscription_schedules/" + schedule["id"], phases=[{**told, **kept, "trial_end": phase["trial_end"]}])
    now = shop.sub(sub)
    assert (now["status"], now["discounts"]) == ("trialing", sub["discounts"])
    assert [r["id"] for r in now["default_tax_rates"]] == [rate]
    assert "No such discount" in shop.refused("subscription_schedules/" + schedule["id"], phases=[
        {**told, "discounts": [{"discount": "di_none"}]}])[0]
    shop.post("subscription_schedules/" + schedule["id"], phases=[told])
    now = shop.sub(sub)
    assert (now["status"], now["discounts"], now["default_tax_rates"]) == ("active", [], [])


def test_a_schedule_is_released_or_canceled(shop):
    sub = shop.subscribe(shop.fee)
    first = shop.post("subscription_schedules", from_subscription=sub["id"])
    assert "already attached" in shop.refused("subscription_schedules", from_subscription=sub["id"])[0]
    released = shop.post(f"subscription_schedules/{first['id']}/release")
    assert (released["status"], released["released_subscription"], released["subscription"]) == ("released", sub["id"], None)
    assert shop.sub(sub)["schedule"] is None
    second = shop.post("subscription_schedules", from_subscription=sub["id"])
    shop.post(f"subscription_schedules/{second['id']}/cancel")
    assert shop.sub(sub)["status"] == "canceled"
    assert shop.get("subscription_schedules/" + second["id"])["status"] == "canceled"


# Anchors

def test_an_anchor_in_the_future_bills_a_part(shop):
    now = int(time.time())
    sub = shop.subscribe(shop.price(31 * DAY_S), billing_cycle_anchor=now + 10 * DAY_S)
    item = sub["items"]["data"][0]
    assert item["current_period_end"] == now + 10 * DAY_S
    total = shop.invoices()[0]["total"]
    assert 9 * DAY_S < total < 11.2 * DAY_S, "a second is worth a cent"
    shop.until(item["current_period_end"] + 1)
    assert shop.invoices()[-1]["total"] == 31 * DAY_S


@pytest.mark.parametrize("interval, count, days", [("week", 1, 7), ("day", 3, 3), ("month", 3, None), ("year", 1, None)])
def test_intervals(shop, interval, count, days):
    sub = shop.subscribe(shop.price(100, interval=interval, interval_count=count))
    item = sub["items"]["data"][0]
    length = item["current_period_end"] - item["current_period_start"]
    if days:
        assert length == days * DAY_S
    else:
        assert {"month": 89, "year": 365}[interval] * DAY_S <= length <= {"month": 92, "year": 366}[interval] * DAY_S
    shop.until(item["current_period_end"])
    assert shop.sub(sub)["items"]["data"][0]["current_period_start"] == item["current_period_end"]


# What is told

def test_events_have_the_shape_of_their_endpoints_version(shop):
    """A change is one signed event, with what was before; an old endpoint reads the old places."""
    with Receiver() as old, Receiver() as new:
        shop.sandbox.webhook(old.url, api_version=LEGACY, enabled_events=["customer.subscription.updated", "invoice.paid"])
        shop.sandbox.webhook(new.url, enabled_events=["customer.subscription.updated", "invoice.paid"])
        sub = shop.subscribe(shop.fee)
        item = sub["items"]["data"][0]
        shop.until(item["current_period_end"] + HOUR_S + 1)
        seen = {}
        for name, receiver in (("old", old), ("new", new)):
            events = [json.loads(each.body) for each in receiver.wait(3)]
            seen[name] = {e["type"]: e for e in sorted(events, key=lambda e: e["created"])}
            assert {e["api_version"] for e in events} == {LEGACY if name == "old" else "2026-10-28.endive"}
    renewal = seen["old"]["customer.subscription.updated"]["data"]
    assert renewal["previous_attributes"]["current_period_end"] == item["current_period_end"]
    assert renewal["object"]["current_period_start"] == item["current_period_end"]
    assert "latest_invoice" in renewal["previous_attributes"] and "billing_mode" not in renewal["object"]
    paid = seen["old"]["invoice.paid"]["data"]["object"]
    assert paid["subscription"] == sub["id"] and paid["paid"] and paid["payment_intent"] and "parent" not in paid
    assert paid["lines"]["data"][0]["price"]["id"] == shop.fee
    renewal, paid = (seen["new"][type]["data"] for type in ("customer.subscription.updated", "invoice.paid"))
    before = renewal["previous_attributes"]["items"]["data"][0]
    assert before["current_period_end"] == item["current_period_end"] and "current_period_end" not in renewal["object"]
    assert paid["object"]["parent"]["subscription_details"]["subscription"] == sub["id"] and "paid" not in paid["object"]
