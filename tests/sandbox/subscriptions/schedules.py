"""Subscription schedules: phases of items, one after the other; how a plan changes at a period's end."""
from .. import params as p
from .. import periods
from ..billing import discounts, taxes
from ..errors import StripeError, missing_param
from . import changes, times
from .items import blank as blank_item, interval_of

OPEN = ("not_started", "active")


def create(world, call):
    params = call.params
    if params.get("from_subscription"):
        if set(params) - {"from_subscription", "expand", "billing_mode"}:
            raise StripeError(400, "You cannot set other parameters if `from_subscription` is set.",
                              param="from_subscription")
        return of_subscription(world, call, params["from_subscription"])
    if not params.get("customer"):
        raise missing_param("customer")
    if not p.listed(params, "phases"):
        raise missing_param("phases")
    return of_phases(world, call, params)


def blank(world, sub_or_customer, params, status):
    return {
        "id": world.ids.new("sub_sched", 24), "object": "subscription_schedule", "application": None,
        "billing_mode": {"type": "classic"}, "canceled_at": None, "completed_at": None,
        "created": world.clock.now_s(), "current_phase": None, "customer": sub_or_customer,
        "customer_account": None,
        "default_settings": {
            "application_fee_percent": None, "automatic_tax": {"disabled_reason": None, "enabled": False,
                                                               "liability": None},
            "billing_cycle_anchor": "automatic", "billing_thresholds": None,
            "collection_method": "charge_automatically", "default_payment_method": None,
            "description": None, "invoice_settings": {
                "account_tax_ids": None, "custom_fields": None, "days_until_due": None, "description": None,
                "footer": None, "issuer": {"type": "self"}},
            "on_behalf_of": None, "transfer_data": None},
        "end_behavior": p.one_of(params, "end_behavior", ("cancel", "release"), "release"),
        "livemode": False, "metadata": p.metadata(params), "pause_schedules": [], "phases": [], "released_at": None,
        "released_subscription": None, "status": status, "subscription": None, "test_clock": None}


def of_subscription(world, call, id):
    sub = world.of("subscription").get(id, "from_subscription")
    if sub["schedule"]:
        raise StripeError(400, "You cannot migrate a subscription that is already attached to a schedule: %s."
                          % sub["schedule"], param="from_subscription")
    if sub["ended_at"] or sub["status"] == "incomplete":
        raise StripeError(400, "You cannot migrate a subscription that is %s." % sub["status"],
                          param="from_subscription")
    schedule = blank(world, sub["customer"], {}, "active")
    schedule["subscription"], schedule["billing_mode"] = sub["id"], dict(sub["billing_mode"])
    start = sub["items"]["data"][0]["current_period_start"]
    phase = blank_phase(sub["currency"], start, times.period_end(sub))
    phase["items"] = [phase_item(item["price"], item.get("quantity"), item["metadata"], item["tax_rates"])
                      for item in sub["items"]["data"]]
    phase["default_tax_rates"], phase["trial_end"] = list(sub["default_tax_rates"]), None
    if sub["status"] == "trialing":
        phase["trial_end"] = sub["trial_end"]
    phase["discounts"] = [{"coupon": None, "discount": id, "promotion_code": None} for id in sub["discounts"]]
    defaults = schedule["default_settings"]
    defaults.update({name: sub[name] for name in ("collection_method", "default_payment_method")})
    defaults["invoice_settings"]["days_until_due"] = sub["days_until_due"]
    schedule["phases"] = [phase]
    return attach(world, call, schedule, sub)


def attach(world, call, schedule, sub):
    set_current(world, schedule)
    world.of("subscription_schedule").add(schedule)
    with world.events.update("customer.subscription.updated", sub, call):
        sub["schedule"] = schedule["id"]
    world.events.record("subscription_schedule.created", schedule, call)
    world.agenda.watch(sub)
    return schedule


def blank_phase(currency, start, end):
    return {"add_invoice_items": [], "application_fee_percent": None, "billing_cycle_anchor": None,
            "billing_thresholds": None, "collection_method": None, "currency": currency,
            "default_payment_method": None, "default_tax_rates": [], "description": None, "discounts": [],
            "end_date": end, "invoice_settings": None, "items": [], "metadata": {}, "on_behalf_of": None,
            "proration_behavior": "create_prorations", "start_date": start, "transfer_data": None,
            "trial_end": None}


def phase_item(price, quantity, metadata=(), rates=()):
    item = {"billing_thresholds": None, "discounts": [], "metadata": dict(metadata), "plan": price["id"],
            "price": price["id"], "tax_rates": list(rates)}
    return {**item, "quantity": quantity} if quantity is not None else item


def of_phases(world, call, params):
    """A new subscription that the schedule makes, at once: a start in the future waits in its first phase."""
    from . import add
    now = world.clock.now_s()
    start = now if params.get("start_date") in (None, "", "now") else p.integer(params, "start_date")
    if start > now:
        raise StripeError(400, "The sandbox begins schedules at once: start_date cannot be in the future.",
                          param="start_date")
    schedule = blank(world, params["customer"], params, "active")
    schedule["phases"] = read_phases(world, p.listed(params, "phases"), start)
    first = schedule["phases"][0]
    given = {"customer": params["customer"], "items": [
        {key: item[key] for key in ("price", "quantity") if key in item} for item in first["items"]]}
    if start < now:
        given["backdate_start_date"] = start
    if params.get("billing_mode"):
        given["billing_mode"] = params["billing_mode"]
    sub = add(world, call, given, scheduled=True)
    schedule["subscription"], schedule["billing_mode"] = sub["id"], dict(sub["billing_mode"])
    return attach(world, call, schedule, sub)


def read_phases(world, given_phases, start, running=None):
    """running: the phase that has begun; it begins where it began, however it is told."""
    found = []
    for i, given in enumerate(given_phases):
        name = "phases[%d]" % i
        begins = found[-1]["end_date"] if found else (running or {}).get("start_date", start)
        told = given.get("start_date")
        if told not in (None, "", "now") and p.integer(given, "start_date") != begins:
            raise StripeError(400, "The phases must be contiguous: `%s[start_date]` must be %d." % (name, begins),
                              param=name + "[start_date]")
        phase = read_phase(world, given, name, begins)
        if phase["end_date"] is None and i < len(given_phases) - 1:
            raise StripeError(400, "You must specify either `duration` or `end_date` for each phase but the last.",
                              param=name + "[end_date]")
        found.append(phase)
    if found[-1]["end_date"] is None:
        last = found[-1]
        price = world.of("price").get(last["items"][0]["price"])["recurring"]
        last["end_date"] = periods.edge(last["start_date"], price["interval"], price["interval_count"], 1)
    return found


def read_phase(world, given, name, begins):
    items = []
    for k, each in enumerate(p.listed(given, "items")):
        place = "%s[items][%d]" % (name, k)
        price = world.of("price").get(each.get("price"), place + "[price]")
        if price["recurring"] is None or not price["active"]:
            raise StripeError(400, "The price specified is inactive or not recurring.", param=place + "[price]")
        metered = price["recurring"]["usage_type"] == "metered"
        if metered and each.get("quantity"):
            raise StripeError(400, "You cannot set the quantity for metered plans.", param=place + "[quantity]")
        items.append(phase_item(price, None if metered else p.integer(each, "quantity", 1), p.metadata(each),
                                taxes.read_rates(world, each, "tax_rates", place)))
    if not items:
        raise missing_param(name + "[items]")
    first = world.of("price").get(items[0]["price"])
    phase = blank_phase(first["currency"], begins, read_end(given, first["recurring"], begins, name))
    phase["items"], phase["metadata"] = items, p.metadata(given)
    phase["default_tax_rates"] = taxes.read_rates(world, given, "default_tax_rates", name)
    phase["proration_behavior"] = p.one_of(given, "proration_behavior", changes.BEHAVIORS, "create_prorations")
    phase["discounts"] = [read_discount(world, d, "%s[discounts][%d]" % (name, k))
                          for k, d in enumerate(p.listed(given, "discounts"))]
    phase["trial_end"] = p.integer(given, "trial_end")
    phase["collection_method"] = given.get("collection_method") or None
    phase["default_payment_method"] = given.get("default_payment_method") or None
    phase["description"] = given.get("description") or None
    days = p.integer(p.group(given, "invoice_settings"), "days_until_due")
    if days is not None:
        phase["invoice_settings"] = {"account_tax_ids": None, "days_until_due": days, "issuer": None}
    return phase


def read_discount(world, given, name):
    """One that is there, or the coupon of one that is to be."""
    told = {kind: given.get(kind) or None for kind in ("coupon", "discount", "promotion_code")}
    if sum(1 for id in told.values() if id) != 1 or told["promotion_code"]:
        raise StripeError(400, "You must pass one of coupon, discount or promotion_code; the sandbox has no "
                          "promotion codes.", param=name)
    kind = "coupon" if told["coupon"] else "discount"
    world.of(kind).get(told[kind], "%s[%s]" % (name, kind))
    return told


def read_end(given, recurring, begins, name):
    duration = p.group(given, "duration")
    if duration:
        return periods.edge(begins, duration.get("interval"), p.integer(duration, "interval_count", 1), 1)
    if given.get("iterations"):
        return periods.edge(begins, recurring["interval"], recurring["interval_count"],
                            p.integer(given, "iterations"))
    end = p.integer(given, "end_date")
    if end is not None and end <= begins:
        raise StripeError(400, "The end date of a phase must be after its start date.", param=name + "[end_date]")
    return end


def set_current(world, schedule):
    now = world.clock.now_s()
    for phase in schedule["phases"]:
        if phase["start_date"] <= now < phase["end_date"]:
            schedule["current_phase"] = {"start_date": phase["start_date"], "end_date": phase["end_date"]}
            return phase
    schedule["current_phase"] = None
    return None


def next_phase(world, sub, at):
    """The phase that begins at that moment, or None."""
    schedule = sub["schedule"] and world.of("subscription_schedule").get(sub["schedule"])
    for phase in schedule["phases"] if schedule else ():
        if phase["start_date"] == at:
            return phase
    return None


def open_one(world, id):
    schedule = world.of("subscription_schedule").get(id)
    if schedule["status"] not in OPEN:
        raise StripeError(400, "You cannot change a subscription schedule that is %s." % schedule["status"])
    return schedule


def update(world, call, id):
    """Phases are told whole; the first is the one that runs."""
    schedule, params = open_one(world, id), call.params
    given = p.listed(params, "phases")
    running = schedule["phases"] and set_current(world, schedule)
    phases = read_phases(world, given, schedule["created"], running) if given else schedule["phases"]
    if phases[0]["end_date"] <= world.clock.now_s():
        raise StripeError(400, "The first phase must be the one that runs now.", param="phases[0][end_date]")
    with world.events.update("subscription_schedule.updated", schedule, call):
        schedule["phases"] = phases
        schedule["end_behavior"] = p.one_of(params, "end_behavior", ("cancel", "release"),
                                            schedule["end_behavior"])
        schedule["metadata"] = p.metadata(params, schedule["metadata"])
        set_current(world, schedule)
    sub = world.of("subscription").get(schedule["subscription"])
    if given:
        enter(world, call, sub, phases[0], phases[0]["proration_behavior"])
    world.agenda.watch(sub)
    return schedule


def enter(world, call, sub, phase, behavior):
    """Make the subscription have the phase's items, by changes as anybody may ask for them."""
    from . import change_by
    put_settings(world, call, sub, phase)
    params = {"proration_behavior": behavior}
    if sub["status"] == "trialing" and phase["trial_end"] != sub["trial_end"]:
        params["trial_end"] = phase["trial_end"] or "now"
    wanted, given = {item["price"]: item for item in phase["items"]}, []
    for item in sub["items"]["data"]:
        same = wanted.pop(item["price"]["id"], None)
        if same is None:
            given.append({"id": item["id"], "deleted": True})
        elif same.get("quantity") != item.get("quantity"):
            given.append({"id": item["id"], "quantity": same["quantity"]})
    given += [{key: item[key] for key in ("price", "quantity") if key in item} for item in wanted.values()]
    if given or "trial_end" in params:
        change_by(world, call, sub, params, given)
    rates = {item["price"]: item["tax_rates"] for item in phase["items"]}
    for item in sub["items"]["data"]:
        item["tax_rates"] = list(rates[item["price"]["id"]])


def put_settings(world, call, sub, phase):
    """What a phase leaves out the subscription has no more, or as the schedule's default. Metadata are added."""
    defaults = world.of("subscription_schedule").get(sub["schedule"])["default_settings"]
    had = discounts.of_ids(world, sub["discounts"])
    having = discounts.read(world, {"discounts": phase["discounts"]}, sub["currency"], sub["customer"], sub["id"], had)
    with world.events.update("customer.subscription.updated", sub, call):
        sub["discounts"] = [discount["id"] for discount in having]
        sub["default_tax_rates"] = list(phase["default_tax_rates"])
        for name in ("collection_method", "default_payment_method"):
            sub[name] = phase[name] or defaults[name]
        sub["days_until_due"] = (phase["invoice_settings"] or defaults["invoice_settings"])["days_until_due"]
        sub["metadata"].update(phase["metadata"])
    for discount in having:
        if discount not in had:
            discounts.redeem(world, call, discount)
    for discount in had:
        if discount not in having:
            discounts.drop(world, call, discount)


def at_period_end(world, sub, now):
    """A renewal: if a phase ends with the period, the next one's items are what renews. Nothing is prorated,
    for nothing is left of the period."""
    schedule = sub["schedule"] and world.of("subscription_schedule").get(sub["schedule"])
    if not schedule or schedule["current_phase"]["end_date"] > now:
        return
    with world.events.update("subscription_schedule.updated", schedule, None):
        phase = set_current(world, schedule)
    if phase is None:
        complete(world, sub, schedule)
        return
    put_items(world, sub, phase)


def put_items(world, sub, phase):
    """Items of the same product keep their id."""
    old, new = list(sub["items"]["data"]), []
    before = {interval_of(item) for item in old}
    for wanted in phase["items"]:
        price = world.of("price").get(wanted["price"])
        item = take(old, lambda i: i["price"] is price) or take(old, lambda i: same_kind(i["price"], price))
        if item is None:
            item = blank_item(world, sub, price)
            world.of("subscription_item").add(item)
        item.update(price=price, metadata=dict(wanted["metadata"]), tax_rates=list(wanted["tax_rates"]),
                    _usage_from=world.clock.now_s())
        item.pop("quantity", None)
        if "quantity" in wanted:
            item["quantity"] = wanted["quantity"]
        new.append(item)
    for item in old:
        world.of("subscription_item").remove(item["id"])
    if before.isdisjoint(interval_of(item) for item in new):
        sub["billing_cycle_anchor"] = phase["start_date"]
    sub["items"]["data"] = new
    put_settings(world, None, sub, phase)


def take(old, fits):
    found = next((item for item in old if fits(item)), None)
    if found:
        old.remove(found)
    return found


def same_kind(price, other):
    mine, theirs = price["recurring"], other["recurring"]
    return (mine["usage_type"], mine["meter"]) == (theirs["usage_type"], theirs["meter"])


def step(world, sub, now):
    """A phase that ends within a period: the change is prorated as the next phase says."""
    schedule = world.of("subscription_schedule").get(sub["schedule"])
    with world.events.update("subscription_schedule.updated", schedule, None):
        phase = set_current(world, schedule)
    if phase is None:
        complete(world, sub, schedule)
    else:
        enter(world, None, sub, phase, phase["proration_behavior"])


def complete(world, sub, schedule):
    """All phases are over."""
    from . import end
    if schedule["end_behavior"] == "cancel":
        finish(world, None, sub, schedule, "completed", "completed_at")
        end(world, None, sub)
    else:
        finish(world, None, sub, schedule, "completed", "completed_at")


def finish(world, call, sub, schedule, status, at):
    with world.events.update("customer.subscription.updated", sub, call):
        sub["schedule"] = None
    schedule["status"], schedule[at] = status, world.clock.now_s()
    schedule["current_phase"] = None
    if status == "released":
        schedule["released_subscription"], schedule["subscription"] = sub["id"], None
    world.events.record("subscription_schedule." + status, schedule, call)


def release(world, call, id):
    """The subscription goes on as it is."""
    schedule = open_one(world, id)
    finish(world, call, world.of("subscription").get(schedule["subscription"]), schedule, "released",
           "released_at")
    return schedule


def cancel(world, call, id):
    from . import end
    schedule = open_one(world, id)
    sub = world.of("subscription").get(schedule["subscription"])
    end(world, call, sub)
    return schedule


def ended(world, call, sub):
    """The subscription is over, and so is its schedule."""
    schedule = sub["schedule"] and world.of("subscription_schedule").get(sub["schedule"])
    if schedule:
        finish(world, call, sub, schedule, "canceled", "canceled_at")


def retrieve(world, call, id):
    return world.of("subscription_schedule").get(id)


def list_all(world, call):
    customer = call.params.get("customer")
    return world.of("subscription_schedule").page(call.params, "/v1/subscription_schedules", customer and (
        lambda schedule: schedule["customer"] == customer))
