"""Invoices of a subscription: drafts of them, and those that are made and charged at once."""
from ..billing import bills, collect, discounts, invoice_items, lines
from ..errors import StripeError
from ..payments import cards, intents, methods

NO_METHOD = ("This customer has no attached payment source or default payment method. Please consider adding "
             "a default payment method. For more information, visit https://stripe.com/docs/billing/"
             "subscriptions/payment-methods-setting#payment-method-priority.")


def draft(world, sub, customer, reason, found, period, taken=(), having=None, behind=()):
    """An invoice that nobody knows of yet. found: lines; taken: invoice items that it takes; having: discounts,
    or None for the subscription's own; behind: metered items with their periods, whose lines stay open."""
    now = world.clock.now_s()
    if having is None:
        having = discounts.having(world, sub, now)
    invoice = bills.blank(
        world, customer, sub["currency"], reason, period, sub, rates=sub["default_tax_rates"],
        discounts=having, days_until_due=sub["days_until_due"], description=sub["description"])
    invoice["_fixed"] = [lines.of_invoice_item(world, ii) for ii in taken] + list(found)
    invoice["_behind"], invoice["_taken"] = list(behind), list(taken)
    refresh(world, invoice, customer, sub)
    return invoice


def refresh(world, invoice, customer, sub):
    """Count the usage anew, while the invoice is a draft; a line that was there keeps its id."""
    known = {key_of(line): line["id"] for line in invoice["lines"]["data"]}
    found = list(invoice["_fixed"])
    for item, start, end in invoice["_behind"]:
        found += lines.behind(world, sub, item, (start, end))
    for line in found:
        line["id"] = known.get(key_of(line), line["id"])
    bills.fill(world, invoice, found, customer)


def key_of(line):
    return line["_item"], line["period"]["start"], (line["description"] or "").rpartition("(")[2]


def waiting(world, sub):
    return invoice_items.waiting(world, sub["customer"], sub["id"], sub["currency"])


def check_payer(world, sub, invoice, customer, behavior):
    """-> how the charge will end: "ok", "authenticate" or a decline code; None if there is none."""
    if not invoice["amount_due"] or sub["collection_method"] == "send_invoice":
        return None
    method = methods.default_of(world, customer, sub)
    if method is None:
        if behavior == "default_incomplete":
            return "no_method"
        raise StripeError(400, NO_METHOD, code="resource_missing", began=True)
    outcome = intents.outcome_of(method)
    if behavior == "error_if_incomplete" and outcome != "ok":
        raise cards.card_error(outcome)
    return outcome


def issue(world, call, sub, invoice, pay=True, at_once=True):
    """Make it known, finalize it, and charge it: what an update or a creation bills at once."""
    collect.store(world, call, invoice)
    invoice_items.take(world, call, invoice["_taken"], invoice)
    use_up(world, call, sub, invoice)
    if at_once and invoice["collection_method"] == "charge_automatically":
        collect.finalize(world, call, invoice, pay=pay)


def use_up(world, call, sub, invoice):
    """A coupon that counts once has counted; one whose months are over goes."""
    now = world.clock.now_s()
    customer = world.of("customer").get(sub["customer"])
    theirs = customer["discount"]
    if theirs and theirs["_coupon"]["duration"] == "once" and theirs["id"] in invoice["discounts"]:
        with world.events.update("customer.updated", customer, call):
            discounts.set_of_customer(world, call, customer, None)
    over = [d for d in discounts.of_ids(world, sub["discounts"]) if (d["end"] and d["end"] <= now) or (
        d["_coupon"]["duration"] == "once" and d["id"] in invoice["discounts"])]
    if over:
        with world.events.update("customer.subscription.updated", sub, call):
            sub["discounts"] = [id for id in sub["discounts"] if id not in {d["id"] for d in over}]
        for discount in over:
            discounts.drop(world, call, discount)
