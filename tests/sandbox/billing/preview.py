"""Previews: the next invoice, or the one that a change would make, by the computation that makes the real ones.
Nothing is kept and nobody hears of it."""
from .. import params as p
from .. import subscriptions
from ..errors import StripeError
from ..subscriptions import changes, charging, schedules, times
from ..versions import is_legacy
from . import discounts, invoice_items, lines

OF_DETAILS = ("billing_cycle_anchor", "cancel_at", "cancel_at_period_end", "default_tax_rates", "proration_behavior",
              "proration_date", "trial_end", "billing_mode")
OLD = "subscription_"           # up to acacia the details stand beside the rest, with this before them


def create(world, call):
    """POST /v1/invoices/create_preview, and GET /v1/invoices/upcoming up to acacia."""
    params = call.params
    if not params.get("customer") and not params.get("subscription") and not params.get("schedule"):
        raise StripeError(400, "You must specify at least one of customer, subscription or schedule.",
                          code="parameter_missing", param="customer")
    details = details_of(params)
    sub, customer = whose(world, params)
    if sub is None:
        invoice = of_new(world, call, customer, params, details)
    else:
        invoice = of_standing(world, call, sub, customer, params, details)
    if params.get("preview_mode") == "recurring":
        keep_recurring(world, invoice, customer)
    return shown(invoice)


def upcoming(world, call):
    """Basil ended it: since then it is an invoice of that id, which there is not."""
    if not is_legacy(call.version):
        return world.of("invoice").get("upcoming")
    return create(world, call)


def details_of(params):
    details = dict(p.group(params, "subscription_details"))
    for name in OF_DETAILS + ("items", "cancel_now", "start_date"):
        if OLD + name in params:
            details[name] = params[OLD + name]
    if params.get("discounts") is not None:
        details["discounts"] = params["discounts"]
    elif params.get("coupon"):
        details["coupon"] = params["coupon"]
    return details


def whose(world, params):
    """(subscription or None, customer)"""
    id = params.get("subscription")
    if params.get("schedule"):
        id = world.of("subscription_schedule").get(params["schedule"], "schedule")["subscription"]
    sub = id and world.of("subscription").get(id, "subscription")
    customer = world.of("customer").get(params.get("customer") or sub["customer"], "customer")
    if sub and sub["customer"] != customer["id"]:
        raise StripeError(404, "No such subscription: '%s'" % id, code="resource_missing", param="subscription")
    return sub or None, customer


def nothing():
    return StripeError(404, "No upcoming invoices for customer", code="invoice_upcoming_none")


def of_new(world, call, customer, params, details):
    """The first invoice of a subscription that is not there yet, or what waits for the customer."""
    if details.get("items"):
        given = {**details, "customer": customer["id"]}
        _, invoice, _ = subscriptions.prepare(world, call, given, customer)
        if invoice is None:
            raise nothing()
        invoice["parent"]["subscription_details"]["subscription"] = None
        return invoice
    standing = [sub for sub in world.subscriptions_by_customer[customer["id"]]
                if not sub["ended_at"] and times.due(world, sub) is not None]
    if not standing:
        raise nothing()
    return of_standing(world, call, min(standing, key=times.period_end), customer, params, details)


def of_standing(world, call, sub, customer, params, details):
    if sub["ended_at"]:
        raise nothing()
    now = world.clock.now_s()
    if p.boolean(details, "cancel_now"):
        return of_cancelation(world, sub, customer, details, now)
    given = p.listed(details, "items")
    rest = {name: details[name] for name in OF_DETAILS + ("discounts", "coupon") if name in details}
    extra = [added(world, sub, each) for each in p.listed(params, "invoice_items")]
    if not given and not rest:
        return next_of(world, sub, customer, [], None, extra)
    plan = changes.plan(world, call, sub, rest, given)
    if plan.lines is not None:      # what would be billed at once
        taken = charging.waiting(world, sub) + plan.pending + extra
        return charging.draft(world, plan.after, customer, "upcoming", plan.lines, (now, now), taken, plan.discounts)
    return next_of(world, plan.after, customer, plan.pending, plan.discounts, extra)


def added(world, sub, given):
    """An invoice item that the caller imagines."""
    price, unit, amount, currency = invoice_items.read_amount(world, {"currency": sub["currency"], **given})
    now, period = world.clock.now_s(), p.group(given, "period")
    return invoice_items.make(world, sub["customer"], amount, currency, p.text(given, "description"), (
        p.integer(period, "start", now), p.integer(period, "end", now)), quantity=p.integer(given, "quantity", 1),
        price=price, unit=unit, sub=sub, discountable=p.boolean(given, "discountable", amount >= 0))


def next_of(world, sub, customer, pending, having, extra):
    """The invoice at the end of the period, with the usage so far."""
    end = times.period_end(sub)
    after = changes.working_copy(sub)
    ending = [item for item in after["items"]["data"] if item["current_period_end"] <= end]
    closed = ending[0]["current_period_start"], end
    trial = sub["status"] == "trialing"
    behind = [(dict(item), changes.usage_start(item), end) for item in ending
              if lines.is_metered(item) and not trial]
    taken = charging.waiting(world, sub) + list(pending) + extra
    if sub["cancel_at"] and sub["cancel_at"] <= end:
        if not behind and not taken:
            raise nothing()
        with world.clock.at(end):   # a discount may have ended by then
            return charging.draft(world, after, customer, "upcoming", [], closed, taken,
                                  having if having is None else discounts.running(having, end), behind)
    with world.clock.at(end):
        after["status"] = "active" if trial else sub["status"]
        found = ahead_of(world, after, ending, end)
        return charging.draft(world, after, customer, "upcoming", found, closed, taken,
                              having if having is None else discounts.running(having, end), behind)


def ahead_of(world, after, ending, end):
    """The fees of the periods that begin then: of the next phase's items, if a schedule changes them."""
    phase = schedules.next_phase(world, after, end)
    if phase:
        known, ending = {item["price"]["id"]: item for item in ending}, []
        for wanted in phase["items"]:
            price = world.of("price").get(wanted["price"])
            item = dict(known.get(price["id"]) or {"id": None, "metadata": {}, "tax_rates": []}, price=price)
            item["tax_rates"] = wanted["tax_rates"]
            if "quantity" in wanted:
                item["quantity"] = wanted["quantity"]
            ending.append(item)
    found = []
    for item in ending:
        if not lines.is_metered(item):
            times.set_period(after, item, end)
            found += lines.ahead(world, after, item, (item["current_period_start"], item["current_period_end"]))
    return found


def of_cancelation(world, sub, customer, details, now):
    plan = changes.Plan(sub)
    pending = [changes.credit(world, plan, sub, item, p.integer(details, "proration_date", now))
               for item in sub["items"]["data"] if not lines.is_metered(item)] \
        if details.get("proration_behavior") != "none" and sub["status"] != "trialing" else []
    found = []
    for item in sub["items"]["data"]:
        if lines.is_metered(item) and changes.usage_start(item) < now:
            found += lines.behind(world, sub, item, (changes.usage_start(item), now))
    return charging.draft(world, sub, customer, "upcoming", found, (now, now),
                          charging.waiting(world, sub) + pending)


def keep_recurring(world, invoice, customer):
    """preview_mode=recurring: without what comes once."""
    from . import bills
    kept = [line for line in invoice["lines"]["data"] if (line["parent"] or {}).get("type") ==
            "subscription_item_details" and not line["parent"]["subscription_item_details"]["proration"]]
    bills.fill(world, invoice, kept, customer)


def announce(world, sub):
    """invoice.upcoming: some days ahead, what the renewal will be."""
    invoice = next_of(world, sub, world.of("customer").get(sub["customer"]), [], None, [])
    world.events.record("invoice.upcoming", shown(invoice), None)


def shown(invoice):
    """As an invoice that has not been made: no number, no links, and an id that is none (left out up to
    acacia)."""
    invoice["billing_reason"] = "upcoming"
    invoice["id"] = "upcoming_" + invoice["id"]
    for line in invoice["lines"]["data"]:
        line["invoice"] = invoice["id"]
        line["id"] = line["id"].replace("il_", "il_tmp_")
    invoice["lines"]["url"] = "/v1/invoices/upcoming/lines"
    invoice["ending_balance"] = invoice["_balance_after"]
    return invoice
