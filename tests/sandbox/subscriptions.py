"""Subscriptions: periods move on by the sandbox's clock when somebody looks, or moves the clock."""
from . import invoices, periods, versions
from . import params as p
from .errors import StripeError, missing
from .store import page

KEPT = ("description", "default_payment_method", "days_until_due", "default_source")
IGNORED = {"proration_behavior", "payment_behavior", "off_session", "payment_settings", "coupon",
           "automatic_tax", "billing_mode", "billing_cycle_anchor_config", "add_invoice_items",
           "billing_thresholds", "discounts", "currency", "trial_settings", "default_tax_rates",
           "invoice_settings", "application_fee_percent", "promotion_code", "on_behalf_of",
           "transfer_data", "pending_invoice_item_interval", "trial_from_plan", "proration_date",
           "cancellation_details", "pause_collection"}
SHARED = set(KEPT) | IGNORED | {"items", "metadata", "cancel_at_period_end", "cancel_at",
                                "collection_method", "trial_end", "billing_cycle_anchor"}
ON_CREATE = SHARED | {"customer", "backdate_start_date", "trial_period_days"}
ENDED = ("canceled", "incomplete_expired")
STATUSES = ("active", "past_due", "unpaid", "canceled", "incomplete", "incomplete_expired",
            "trialing", "paused", "all", "ended")


def create(world, call):
    p.check(call.params, ON_CREATE, required=("customer", "items"))
    return add(world, call, call.params)


def add(world, call, params):
    customer = world.of("customer").get(params["customer"], "customer")
    now = world.clock.now_s()
    start = p.integer(params, "backdate_start_date", now)
    if start > now:
        raise StripeError(400, "Subscription start date cannot be in the future.",
                          param="backdate_start_date")
    trial_end = read_trial_end(params, now)
    id = world.ids.new("sub", 24)
    sub = {
        "id": id, "object": "subscription", "application": None,
        "automatic_tax": {"enabled": False, "liability": None},
        "billing_cycle_anchor": p.integer(params, "billing_cycle_anchor", trial_end or start),
        "billing_mode": {"type": "classic"}, "cancel_at": None, "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": p.one_of(params, "collection_method",
                                      ("charge_automatically", "send_invoice"),
                                      "charge_automatically"),
        "created": now, "currency": None, "customer": customer["id"], "days_until_due": None,
        "default_payment_method": None, "default_source": None, "default_tax_rates": [],
        "description": None, "discounts": [], "ended_at": None,
        "items": {"object": "list", "data": [], "has_more": False,
                  "url": "/v1/subscription_items?subscription=" + id},
        "latest_invoice": None, "livemode": False, "metadata": p.metadata(params),
        "pause_collection": None, "pending_update": None, "schedule": None, "start_date": start,
        "status": "trialing" if trial_end else "active", "test_clock": None,
        "trial_start": now if trial_end else None, "trial_end": trial_end}
    for given in p.listed(params, "items"):
        add_item(world, call, sub, given)
    change(world, sub, params)
    world.of("subscription").add(sub)
    world.subscriptions_by_customer[customer["id"]].append(sub)
    world.events.record("customer.subscription.created", sub, call)
    return sub


def read_trial_end(params, now):
    days = p.integer(params, "trial_period_days")
    if days:
        return now + days * 86400
    if params.get("trial_end") in (None, "", "now"):
        return None
    return p.integer(params, "trial_end")


def add_item(world, call, sub, given):
    p.check(given, {"price", "quantity", "metadata", "price_data", "tax_rates", "discounts",
                    "billing_thresholds", "plan"})
    price = world.of("price").get(given.get("price") or given.get("plan"), "items[0][price]")
    check_price(call, price, sub)
    if any(item["price"] is price for item in sub["items"]["data"]):
        raise StripeError(400, "Cannot add multiple subscription items with the same plan: %s"
                          % price["id"])
    item = {"id": world.ids.new("si"), "object": "subscription_item", "billing_thresholds": None,
            "created": world.clock.now_s(), "current_period_start": None,
            "current_period_end": None, "discounts": [], "metadata": p.metadata(given),
            "price": price, "subscription": sub["id"], "tax_rates": []}
    if price["recurring"]["usage_type"] == "licensed":
        item["quantity"] = p.integer(given, "quantity", 1)
    elif given.get("quantity"):
        raise StripeError(400, "You cannot set the quantity for metered plans.",
                          param="items[0][quantity]")
    set_period(sub, item, world.clock.now_s())
    sub["items"]["data"].append(item)
    sub["currency"] = price["currency"]
    world.of("subscription_item").add(item)
    return item


def check_price(call, price, sub):
    if price["recurring"] is None:
        raise StripeError(400, "The price specified is set to `type=one_time` but this field only "
                          "accepts prices with `type=recurring`.", param="items[0][price]")
    if not price["active"]:
        raise StripeError(400, "The price specified is inactive. This field only accepts active "
                          "prices.", param="items[0][price]")
    recurring = price["recurring"]
    by_records = recurring["usage_type"] == "metered" and not recurring["meter"]
    if by_records and not versions.is_legacy(call.version if call else None):
        raise StripeError(400, "Legacy metered prices cannot be added to subscriptions in this API "
                          "version: use a price that is backed by a meter.",
                          param="items[0][price]")


def set_period(sub, item, now):
    """True if the period moved."""
    recurring = item["price"]["recurring"]
    if sub["status"] == "trialing":
        start, end = sub["trial_start"], sub["trial_end"]
    else:
        first = sub["start_date"] if sub["trial_end"] is None else sub["trial_end"]
        start, end = periods.around(sub["billing_cycle_anchor"], recurring["interval"],
                                    recurring["interval_count"], max(now, first), first)
    moved = item["current_period_end"] not in (None, end)
    item["current_period_start"], item["current_period_end"] = start, end
    return moved


def change(world, sub, params):
    """What creating and updating have in common."""
    p.copy_texts(sub, params, KEPT)
    pause = p.group(params, "pause_collection")
    if "pause_collection" in params:
        sub["pause_collection"] = {"behavior": pause.get("behavior"), "resumes_at":
                                   p.integer(pause, "resumes_at")} if pause else None
    now = world.clock.now_s()
    at_end = p.boolean(params, "cancel_at_period_end", sub["cancel_at_period_end"])
    if at_end != sub["cancel_at_period_end"]:
        sub["cancel_at_period_end"] = at_end
        sub["cancel_at"] = period_end(sub) if at_end else None
        sub["canceled_at"] = now if at_end else None
    if "cancel_at" in params:
        sub["cancel_at"] = p.integer(params, "cancel_at")
        sub["canceled_at"] = now if sub["cancel_at"] else None


def period_end(sub):
    return min(item["current_period_end"] for item in sub["items"]["data"])


def retrieve(world, call, id):
    sub = world.of("subscription").get(id)
    roll(world, sub)
    return sub


def update(world, call, id):
    sub = world.of("subscription").get(id)
    roll(world, sub)
    if sub["status"] == "canceled":
        raise StripeError(400, "A canceled subscription can only update its cancellation_details "
                          "and metadata.")
    params = call.params
    p.check(params, SHARED)
    with world.events.update("customer.subscription.updated", sub, call):
        for given in p.listed(params, "items"):
            change_item(world, call, sub, given)
        sub["metadata"] = p.metadata(params, sub["metadata"])
        if params.get("billing_cycle_anchor") in ("now", {"type": "now"}):
            sub["billing_cycle_anchor"] = world.clock.now_s()
        if params.get("trial_end") == "now":
            sub["trial_end"], sub["status"] = world.clock.now_s(), "active"
        change(world, sub, params)
        for item in sub["items"]["data"]:
            set_period(sub, item, world.clock.now_s())
    return sub


def change_item(world, call, sub, given):
    if "id" not in given:
        add_item(world, call, sub, {k: v for k, v in given.items() if k != "clear_usage"})
        return
    item = world.of("subscription_item").get(given["id"], "items[0][id]")
    if p.boolean(given, "deleted"):
        sub["items"]["data"].remove(item)
        world.of("subscription_item").remove(item["id"])
        return
    if given.get("price"):
        price = world.of("price").get(given["price"], "items[0][price]")
        if price is not item["price"]:
            check_price(call, price, sub)
        item["price"] = price
    if price_is_metered(item):
        item.pop("quantity", None)
    else:
        item["quantity"] = p.integer(given, "quantity", item.get("quantity", 1))
    item["metadata"] = p.metadata(given, item["metadata"])


def price_is_metered(item):
    return item["price"]["recurring"]["usage_type"] == "metered"


def cancel(world, call, id):
    sub = world.of("subscription").get(id)
    p.check(call.params, {"invoice_now", "prorate", "cancellation_details"})
    if sub["status"] == "canceled":
        raise missing("subscription", id)
    end(world, call, sub)
    return sub


def end(world, call, sub, at=None):
    sub["status"] = "canceled"
    sub["ended_at"] = at or world.clock.now_s()
    sub["canceled_at"] = sub["canceled_at"] or sub["ended_at"]
    sub["cancellation_details"]["reason"] = "cancellation_requested"
    world.events.record("customer.subscription.deleted", sub, call)


def roll(world, sub):
    """Bring the subscription up to the clock: end it, end its trial, or open its next period."""
    now = world.clock.now_s()
    if sub["status"] in ("canceled", "incomplete_expired") or not sub["items"]["data"]:
        return
    if sub["cancel_at"] and sub["cancel_at"] <= now:
        end(world, None, sub, sub["cancel_at"])
        return
    if period_end(sub) > now:
        return
    with world.events.update("customer.subscription.updated", sub, None):
        closed = (sub["items"]["data"][0]["current_period_start"], period_end(sub))
        if sub["status"] == "trialing":
            sub["status"] = "active"
        for item in sub["items"]["data"]:
            set_period(sub, item, now)
        sub["latest_invoice"] = invoices.add(world, sub, *closed)["id"]


def roll_all(world):
    for sub in world.of("subscription"):
        roll(world, sub)


def list_all(world, call):
    params = call.params
    status = p.one_of(params, "status", STATUSES)
    price = params.get("price")

    def keep(sub):
        roll(world, sub)
        shown = {None: sub["status"] != "canceled", "all": True,
                 "ended": sub["status"] == "canceled"}.get(status, sub["status"] == status)
        return shown and (not price or any(item["price"]["id"] == price
                                           for item in sub["items"]["data"]))
    if params.get("customer"):
        # One customer's own short list, instead of a walk through everybody's.
        own = world.subscriptions_by_customer.get(params["customer"], [])
        return page(own, params, "/v1/subscriptions", "subscription", keep)
    return world.of("subscription").page(params, "/v1/subscriptions", keep)
