"""What a change of a subscription means, computed before anything is changed: the subscription as it will be,
what waits for its next invoice, and the lines of an invoice that is made at once. Previews use it as well."""
from datetime import datetime, timezone
from fractions import Fraction

from .. import params as p
from ..billing import amounts, discounts, invoice_items, lines, money, usage
from ..errors import StripeError
from ..versions import copy_of
from . import fields, items, times

BEHAVIORS = ("create_prorations", "always_invoice", "none")


class Plan:
    """pending: invoice items that are new; lines: those of an invoice at once, or None for no invoice;
    discounts: those that the subscription will have."""

    def __init__(self, after):
        self.after, self.pending, self.lines = after, [], None
        self.discounts, self.new_discounts = [], None


def working_copy(sub):
    """A copy to try changes on; prices, rates and the like are shared."""
    copy = {key: copy_of(value) if key not in ("items", "default_tax_rates") else value
            for key, value in sub.items()}
    copy["default_tax_rates"] = list(sub["default_tax_rates"])
    copy["items"] = {**sub["items"], "data": [
        {**item, "metadata": dict(item["metadata"])} for item in sub["items"]["data"]]}
    return copy


def plan(world, call, sub, params, given_items, cause="update"):
    """given_items: as the parameter items; params: all the rest of the request."""
    now = world.clock.now_s()
    result = Plan(working_copy(sub))
    after = result.after
    behavior = p.one_of(params, "proration_behavior", BEHAVIORS, "create_prorations")
    at = read_proration_date(params, sub, now)
    items.apply(world, call, after, given_items)
    fields.change(world, after, params)
    result.new_discounts = discounts.read(world, params, after["currency"], sub["customer"], sub["id"],
                                          discounts.of_ids(world, sub["discounts"]))
    result.discounts = items.discounts_of(world, sub, now) if result.new_discounts is None \
        else result.new_discounts
    reset = change_trial(after, params, now) or wants_new_anchor(params) or moves_anchor(sub, after)
    if reset:
        begin_anew(after, now)
    for item in after["items"]["data"]:
        if reset or item["current_period_end"] is None or item["id"] not in ids_of(sub):
            times.set_period(after, item, now)
        elif items.interval_of(item) != items.interval_of(find(sub, item["id"])):
            times.set_period(after, item, now)
    prorate(world, result, sub, behavior, at, now, reset)
    if reset:
        result.lines = usage_so_far(world, sub, after, now) + fees(world, after, now)
    elif behavior == "always_invoice" and result.pending:
        result.lines = []
    if sub["status"] == "paused":
        result.lines, result.pending = None, []
    return result


def ids_of(sub):
    return [item["id"] for item in sub["items"]["data"]]


def find(sub, id):
    return next((item for item in sub["items"]["data"] if item["id"] == id), None)


def read_proration_date(params, sub, now):
    at = p.integer(params, "proration_date", now)
    starts = [item["current_period_start"] for item in sub["items"]["data"]]
    if not min(starts) <= at <= times.period_end(sub):
        raise StripeError(400, "Invalid proration_date: it must be within the current period of the "
                          "subscription.", param="proration_date")
    return at


def wants_new_anchor(params):
    return params.get("billing_cycle_anchor") in ("now", {"type": "now"})


def change_trial(after, params, now):
    """True where a trial begins or ends: that cuts the period."""
    if params.get("trial_end") == "now":
        if after["status"] != "trialing":
            return False
        after.update(trial_end=now, status="active")
        return True
    end = times.read_trial_end(params, now)
    if end is None or end == after["trial_end"]:
        return False
    if after["status"] not in ("trialing", "active"):
        return False
    after.update(trial_end=end, status="trialing", trial_start=after["trial_start"] or now,
                 billing_cycle_anchor=end, _warned=False)
    return True


def moves_anchor(sub, after):
    """From nothing to a fee, and to another interval."""
    if after["status"] in ("trialing", "incomplete", "paused"):
        return False
    if fee(sub) == 0 and fee(after) > 0:
        return True
    old = {items.interval_of(item) for item in sub["items"]["data"]}
    return old.isdisjoint(items.interval_of(item) for item in after["items"]["data"])


def fee(sub):
    return sum(amounts.total(item["price"], item["quantity"]) for item in sub["items"]["data"]
               if not lines.is_metered(item))


def begin_anew(after, now):
    if after["status"] != "trialing":
        after["billing_cycle_anchor"] = now
        after["_begun"] = now
    for item in after["items"]["data"]:
        item["_usage_from"] = now


def prorate(world, result, sub, behavior, at, now, reset):
    """Credits for what is not used up, charges for what remains."""
    after = result.after
    flexible = sub["billing_mode"]["type"] == "flexible"
    for item in sub["items"]["data"]:
        new = find(after, item["id"])
        if lines.is_metered(item):
            replaced = new is None or new["price"] is not item["price"]
            if flexible and replaced and behavior != "none":
                result.pending += used_so_far(world, sub, item, now)
            continue
        if behavior == "none" or sub["status"] in ("trialing", "incomplete"):
            continue
        if reset or is_changed(item, new):
            result.pending.append(credit(world, result, sub, item, at))
    if behavior == "none" or reset or after["status"] in ("trialing", "incomplete"):
        return
    for item in after["items"]["data"]:
        if not lines.is_metered(item) and is_changed(item, find(sub, item["id"])):
            result.pending.append(charge(world, result, after, item, at))


def is_changed(item, other):
    return other is None or item["price"] is not other["price"] \
        or item.get("quantity") != other.get("quantity")


def part_left(sub, item, at):
    """Of the item's whole period, to the second."""
    start, end = times.whole_period(sub, item, at)
    return Fraction(max(item["current_period_end"] - at, 0), end - start)


def credit(world, result, sub, item, at):
    return proration(world, result, sub, item, at, -1, "Unused time on %s after %s")


def charge(world, result, sub, item, at):
    return proration(world, result, sub, item, at, 1, "Remaining time on %s after %s")


def proration(world, result, sub, item, at, sign, text):
    price = item["price"]
    kept = discounts.share_kept(result.discounts if sign > 0 else items.discounts_of(world, sub, at), price)
    exact = amounts.total(price, item["quantity"]) * part_left(sub, item, at) * kept
    title = "%d × %s" % (item["quantity"], lines.title_of(world, price))
    day = datetime.fromtimestamp(at, timezone.utc).strftime("%d %b %Y")
    return invoice_items.make(
        world, sub["customer"], sign * money.rounded(exact, price["currency"]), price["currency"],
        text % (title, day), (at, item["current_period_end"]), quantity=item["quantity"], price=price,
        proration=True, rates=item["tax_rates"], sub=sub, item=item["id"], unit=price["unit_amount_decimal"],
        proration_details={"credited_items": None, "discount_amounts": []})


def used_so_far(world, sub, item, now):
    """Flexible: a metered price that goes leaves what was used at it, an invoice item each tier."""
    start = usage_start(item)
    quantity = usage.used(world, sub, item, start, now)
    if quantity <= 0 or lines.in_trial(sub, (start, now)):
        return []
    title = lines.title_of(world, item["price"])
    return [invoice_items.make(
        world, sub["customer"], money.rounded(part.amount, item["price"]["currency"]),
        item["price"]["currency"], "%d × %s" % (part.quantity, title), (start, now), quantity=part.quantity,
        price=item["price"], unit=part.unit, discountable=True, rates=item["tax_rates"], sub=sub,
        item=item["id"]) for part in amounts.parts(item["price"], quantity)]


def usage_start(item):
    return max(item["current_period_start"], item["_usage_from"])


def usage_so_far(world, sub, after, now):
    """The period is cut: what was used of the metered items that stay is billed."""
    found = []
    for item in sub["items"]["data"]:
        new = find(after, item["id"])
        if lines.is_metered(item) and new is not None and new["price"] is item["price"] \
                and sub["status"] != "incomplete" and now > usage_start(item):
            found += lines.behind(world, sub, item, (usage_start(item), now))
    return found


def fees(world, after, now):
    """The fees of the periods that begin now; of a part of a period its part."""
    found, trial = [], after["status"] == "trialing"
    for item in after["items"]["data"]:
        if not lines.is_metered(item):
            period = item["current_period_start"], item["current_period_end"]
            found += lines.ahead(world, after, item, period, trial)
    return found
