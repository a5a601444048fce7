"""Subscriptions: made, changed, canceled and resumed by requests; cycle.py moves them on by the clock."""
from .. import params as p
from ..billing import discounts, invoice_items, lines, money
from ..errors import StripeError, missing, missing_param
from ..store import page
from . import changes, charging, fields, items, pausing, pending, times

ENDED = ("canceled", "incomplete_expired")
STATUSES = ("active", "past_due", "unpaid", "canceled", "incomplete", "incomplete_expired",
            "trialing", "paused", "all", "ended")
MOST = 500      # of one customer


def create(world, call):
    for name in ("customer", "items"):
        if not call.params.get(name):
            raise missing_param(name)
    return add(world, call, call.params)


def add(world, call, params, scheduled=False):
    """scheduled: a schedule makes it, whose first invoice is a draft for an hour, as those of renewals."""
    customer = world.of("customer").get(params["customer"], "customer")
    having, invoice, sub = prepare(world, call, params, customer)
    behavior = params.get("payment_behavior") or "allow_incomplete"
    at_once = invoice and not scheduled
    outcome = charging.check_payer(world, sub, invoice, customer, behavior) if at_once else None
    if outcome not in (None, "ok") or (outcome and behavior == "default_incomplete"):
        sub["status"] = "incomplete"
    keep(world, call, sub, customer, having)
    sub["latest_invoice"] = invoice["id"] if invoice else None
    world.events.record("customer.subscription.created", sub, call)
    if sub["status"] == "trialing" and sub["trial_end"] - times.WARN_S <= world.clock.now_s():
        warn(world, sub, call)
    if invoice:
        charging.issue(world, call, sub, invoice, pay=behavior != "default_incomplete", at_once=at_once)
    world.agenda.watch(sub)
    return sub


def prepare(world, call, params, customer):
    """(discounts, first invoice or None, subscription), of which nobody knows yet."""
    now = world.clock.now_s()
    start = p.integer(params, "backdate_start_date", now)
    if start > now:
        raise StripeError(400, "Subscription start date cannot be in the future.",
                          param="backdate_start_date")
    standing = [s for s in world.subscriptions_by_customer.get(customer["id"], ()) if not s["ended_at"]]
    if len(standing) >= MOST:
        raise StripeError(400, "Customer %s already has the maximum %d current subscriptions."
                          % (customer["id"], MOST), code="customer_max_subscriptions")
    sub = fields.blank(world, call, customer, params, start)
    items.apply(world, call, sub, p.listed(params, "items"))
    check_currency(world, customer, sub, params)
    begin(sub, params, start, now)
    fields.change(world, sub, params)
    having = discounts.read(world, params, sub["currency"], customer["id"], sub["id"]) or []
    found = opening(world, sub, params.get("proration_behavior") != "none")
    extra = [draft_item(world, sub, given) for given in p.listed(params, "add_invoice_items")]
    found += [lines.of_invoice_item(world, ii) for ii in extra]
    taken = charging.waiting(world, sub)
    if not found and not taken:
        return having, None, sub
    return having, charging.draft(world, sub, customer, "subscription_create", found, (now, now), taken,
                                  having or discounts.having(world, sub, now)), sub


def check_currency(world, customer, sub, params):
    wanted = (params.get("currency") or sub["currency"]).lower()
    if wanted != sub["currency"]:
        raise StripeError(400, "The price specified supports currencies of `%s`, but `%s` is expected."
                          % (sub["currency"], wanted), param="currency")
    if customer["currency"] not in (None, sub["currency"]):
        raise StripeError(400, "You cannot combine currencies on a single customer. This customer has an active "
                          "subscription, subscription schedule, discount, quote, or invoice item with currency "
                          "%s." % customer["currency"])


def begin(sub, params, start, now):
    """Its trial, its anchor, its first periods."""
    trial_end = times.read_trial_end(params, now)
    if trial_end:
        sub.update(trial_start=now, trial_end=trial_end, status="trialing")
    anchor = times.read_anchor(params, trial_end or start, sub["items"]["data"])
    sub["billing_cycle_anchor"] = anchor or trial_end or start
    sub["_begun"] = start
    for item in sub["items"]["data"]:
        item["_usage_from"] = start
        times.set_period(sub, item, now)


def opening(world, sub, prorates):
    """The lines that a new subscription begins with: fees of its first period, or of the part of it that there
    is, and of the periods since a start in the past."""
    found, trial = [], sub["status"] == "trialing"
    for item in sub["items"]["data"]:
        period = item["current_period_start"], item["current_period_end"]
        if lines.is_metered(item):
            if sub["billing_mode"]["type"] == "classic" and not trial:
                found += lines.of_item(world, sub, item, 0, period, trial=True)
            continue
        if trial:
            found += lines.ahead(world, sub, item, period, trial=True)
            continue
        if prorates and period[0] > sub["start_date"]:
            found += since_start(world, sub, item, period[0])
        whole = times.whole_period(sub, item, period[0])
        if period[0] == whole[0]:
            found += lines.ahead(world, sub, item, period)
        elif prorates:
            found.append(part_of(world, sub, item, period))
    return found


def since_start(world, sub, item, end):
    found, at = [], sub["start_date"]
    while at < end:
        whole = times.whole_period(sub, item, at)
        until = min(whole[1], end)
        found.append(part_of(world, sub, item, (at, until)))
        at = until
    return found


def part_of(world, sub, item, period):
    whole = times.whole_period(sub, item, period[0])
    price = item["price"]
    share = money.Fraction(period[1] - period[0], whole[1] - whole[0])
    exact = changes.amounts.total(price, item["quantity"]) * share
    return lines.line(world, money.rounded(exact, price["currency"]), price["currency"], "%d × %s" % (
        item["quantity"], lines.title_of(world, price)), period, item["quantity"], price,
        price["unit_amount_decimal"], parent=lines.parent_of_item(sub, item, proration=share != 1),
        subscription=sub["id"], rates=item["tax_rates"], metadata=item["metadata"], item=item["id"])


def draft_item(world, sub, given):
    price, unit, amount, currency = invoice_items.read_amount(
        world, {**given, "price": given.get("price"), **p.group(given, "price_data")})
    now = world.clock.now_s()
    return invoice_items.make(world, sub["customer"], amount, currency,
                              lines.title_of(world, price) if price else None, (now, now),
                              quantity=p.integer(given, "quantity", 1), price=price, unit=unit, sub=sub)


def add_invoice_item(world, call, sub, given):
    invoice_items.add(world, call, draft_item(world, sub, given))


def keep(world, call, sub, customer, having):
    world.of("subscription").add(sub)
    world.subscriptions_by_customer[customer["id"]].append(sub)
    for item in sub["items"]["data"]:
        world.of("subscription_item").add(item)
    sub["discounts"] = [discount["id"] for discount in having]
    for discount in having:
        discounts.redeem(world, call, discount)
    with world.events.update("customer.updated", customer, call):
        customer["currency"] = customer["currency"] or sub["currency"]


def warn(world, sub, call=None):
    sub["_warned"] = True
    world.events.record("customer.subscription.trial_will_end", sub, call)


def retrieve(world, call, id):
    return world.of("subscription").get(id)


CANCELED_TAKES = {"metadata", "cancellation_details", "expand"}
SCHEDULED_REFUSES = {"items", "trial_end", "billing_cycle_anchor", "cancel_at", "cancel_at_period_end",
                     "discounts", "coupon"}


def update(world, call, id):
    sub, params = world.of("subscription").get(id), call.params
    check_changeable(sub, params)
    change_by(world, call, sub, params, p.listed(params, "items"))
    return sub


def check_changeable(sub, params):
    if sub["status"] in ENDED and set(params) - CANCELED_TAKES:
        raise StripeError(400, "A canceled subscription can only update its cancellation_details "
                          "and metadata.")
    if sub["schedule"] and SCHEDULED_REFUSES & set(params):
        raise StripeError(400, "The subscription is managed by the subscription schedule `%s`, and updating any "
                          "of its items or billing directly is not allowed. Please update the schedule instead, "
                          "or release it." % sub["schedule"], param=min(SCHEDULED_REFUSES & set(params)))


def change_by(world, call, sub, params, given_items):
    """Plan it, see how it would be paid, and only then do it."""
    if sub["status"] in ENDED:
        with world.events.update("customer.subscription.updated", sub, call):
            sub["metadata"] = p.metadata(params, sub["metadata"])
        return
    if pausing.trial_ends_unpaid(world, sub, params):
        pausing.end_trial(world, call, sub)
        return
    plan = changes.plan(world, call, sub, params, given_items)
    customer = world.of("customer").get(sub["customer"])
    behavior = params.get("payment_behavior") or "allow_incomplete"
    if behavior == "pending_if_incomplete":
        pending.check(sub, params)
    invoice, outcome = None, None
    if plan.lines is not None:
        taken = charging.waiting(world, sub) + plan.pending
        now = world.clock.now_s()
        invoice = charging.draft(world, plan.after, customer, "subscription_update", plan.lines, (now, now),
                                 taken, plan.discounts)
        outcome = charging.check_payer(world, plan.after, invoice, customer, behavior)
    if behavior == "pending_if_incomplete" and outcome not in (None, "ok"):
        pending.begin(world, call, sub, params, given_items, invoice)
        return
    commit(world, call, sub, plan, invoice)
    for ii in plan.pending:
        invoice_items.add(world, call, ii)
    if invoice:
        charging.issue(world, call, sub, invoice, pay=behavior != "default_incomplete")
    for given in p.listed(params, "add_invoice_items"):
        add_invoice_item(world, call, sub, given)
    world.agenda.watch(sub)


def commit(world, call, sub, plan, invoice=None):
    """The subscription becomes what the plan says; its items stay the objects that they are."""
    known = {item["id"]: item for item in sub["items"]["data"]}
    with world.events.update("customer.subscription.updated", sub, call):
        new = []
        for item in plan.after["items"]["data"]:
            old = known.pop(item["id"], None)
            if old is None:
                new.append(world.of("subscription_item").add(item))
            else:
                old.clear()
                old.update(item)
                new.append(old)
        for id in known:
            world.of("subscription_item").remove(id)
        list_of = sub["items"]
        sub.update(plan.after)
        sub["items"] = list_of
        sub["items"]["data"] = new
        if plan.new_discounts is not None:
            old = discounts.of_ids(world, sub["discounts"])
            sub["discounts"] = [discount["id"] for discount in plan.new_discounts]
        if invoice:
            sub["latest_invoice"] = invoice["id"]
    if plan.new_discounts is not None:
        for discount in plan.new_discounts:
            if world.of("discount").find(discount["id"]) is None:
                discounts.redeem(world, call, discount)
        for discount in old:
            if discount["id"] not in sub["discounts"]:
                discounts.drop(world, call, discount)
    if sub["status"] == "trialing" and not sub["_warned"] \
            and sub["trial_end"] - times.WARN_S <= world.clock.now_s():
        warn(world, sub, call)


def cancel(world, call, id):
    """At once. What was used is billed only with invoice_now; it stays open, since a cancellation ends the
    automatic collection."""
    sub, params = world.of("subscription").get(id), call.params
    if sub["status"] in ENDED:
        raise missing("subscription", id)
    now, invoice = world.clock.now_s(), None
    details = p.group(params, "cancellation_details")
    for name in ("comment", "feedback"):
        sub["cancellation_details"][name] = details.get(name) or sub["cancellation_details"][name]
    if sub["status"] not in ("incomplete", "trialing") and p.boolean(params, "prorate"):
        credit_rest(world, call, sub, now)
    if p.boolean(params, "invoice_now") and sub["status"] != "incomplete":
        invoice = last_invoice(world, sub, now)
    if invoice:
        with world.events.update("customer.subscription.updated", sub, call):
            sub["latest_invoice"] = invoice["id"]
    end(world, call, sub)
    if invoice:
        charging.issue(world, call, sub, invoice, pay=False)
        if invoice["status"] == "open":
            invoice["auto_advance"] = False
    return sub


def credit_rest(world, call, sub, now):
    plan = changes.Plan(sub)
    for item in sub["items"]["data"]:
        if not lines.is_metered(item):
            invoice_items.add(world, call, changes.credit(world, plan, sub, item, now))


def last_invoice(world, sub, now):
    """What was used up to now, and what waits; None if there is nothing."""
    found, start = [], now
    for item in sub["items"]["data"]:
        if lines.is_metered(item) and changes.usage_start(item) < now:
            start = min(start, changes.usage_start(item))
            found += lines.behind(world, sub, item, (changes.usage_start(item), now))
    taken = charging.waiting(world, sub)
    if not taken and not any(line["amount"] for line in found):
        return None
    customer = world.of("customer").get(sub["customer"])
    return charging.draft(world, sub, customer, "subscription_update", found, (start, now), taken)


def end(world, call, sub, at=None, reason="cancellation_requested"):
    from ..billing import collect
    from . import schedules
    incomplete = sub["status"] == "incomplete"
    sub["status"] = "canceled"
    sub["ended_at"] = at or world.clock.now_s()
    sub["canceled_at"] = sub["canceled_at"] or sub["ended_at"]
    sub["cancellation_details"]["reason"] = reason
    sub["pending_update"] = None
    schedules.ended(world, call, sub)
    world.events.record("customer.subscription.deleted", sub, call)
    if incomplete and sub["latest_invoice"]:
        collect.void(world, call, world.of("invoice").get(sub["latest_invoice"]))
    collect.stop_collecting(world, call, sub["customer"])


def migrate(world, call, id):
    """Classic becomes flexible; there is no way back."""
    sub = world.of("subscription").get(id)
    if sub["billing_mode"]["type"] == "flexible":
        raise StripeError(400, "The subscription is in billing_mode flexible already.")
    with world.events.update("customer.subscription.updated", sub, call):
        sub["billing_mode"] = fields.read_mode(None, {"billing_mode": {"type": "flexible"}})
    return sub


def list_all(world, call):
    params = call.params
    status = p.one_of(params, "status", STATUSES)
    price = params.get("price")

    def keep_it(sub):
        shown = {None: sub["status"] != "canceled", "all": True,
                 "ended": sub["status"] in ENDED}.get(status, sub["status"] == status)
        return shown and (not price or any(item["price"]["id"] == price for item in sub["items"]["data"]))
    if params.get("customer"):
        # One customer's own short list, instead of a walk through everybody's.
        own = world.subscriptions_by_customer.get(params["customer"], [])
        return page(own, params, "/v1/subscriptions", "subscription", keep_it)
    return world.of("subscription").page(params, "/v1/subscriptions", keep_it)
