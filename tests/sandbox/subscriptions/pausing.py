"""Paused subscriptions: what ends a trial without a card, what a request pauses, and how either goes on."""
from .. import params as p
from ..billing import lines
from ..errors import StripeError
from ..payments import methods
from . import changes, charging, times


def missing_behavior(sub):
    return sub["trial_settings"]["end_behavior"]["missing_payment_method"]


def is_unpaid(world, sub):
    """Nobody would pay, and that is to stop it."""
    customer = world.of("customer").get(sub["customer"])
    return missing_behavior(sub) != "create_invoice" and methods.default_of(world, customer, sub) is None


def trial_ends_unpaid(world, sub, params):
    return sub["status"] == "trialing" and params.get("trial_end") == "now" and is_unpaid(world, sub)


def end_trial(world, call, sub):
    from . import end
    if missing_behavior(sub) == "cancel":
        end(world, call, sub)
        return
    with world.events.update("customer.subscription.updated", sub, call):
        sub["trial_end"] = min(sub["trial_end"], world.clock.now_s())
        put_to_rest(sub, "trial_end_without_payment_method")
    world.events.record("customer.subscription.paused", sub, call)


def put_to_rest(sub, why):
    sub["status"] = "paused"
    sub["status_details"] = {"paused": {"type": "subscription", "subscription": {"type": why}}}


def pause(world, call, id):
    """Since endive, for flexible ones: what is used so far is billed, or waits; unused time comes back."""
    from ..billing import invoice_items
    sub, params = world.of("subscription").get(id), call.params
    if sub["billing_mode"]["type"] != "flexible":
        raise StripeError(400, "Only subscriptions with billing_mode flexible can be paused.")
    if sub["status"] not in ("active", "past_due"):
        raise StripeError(400, "You cannot pause a subscription that is %s." % sub["status"])
    now, customer = world.clock.now_s(), world.of("customer").get(sub["customer"])
    bills = p.group(params, "bill_for")
    found, plan = [], changes.Plan(sub)
    if p.group(bills, "outstanding_usage_through").get("type") == "now":
        for item in sub["items"]["data"]:
            if lines.is_metered(item):
                plan.pending += changes.used_so_far(world, sub, item, now)
    if p.group(bills, "unused_time_from").get("type") == "now":
        plan.pending += [changes.credit(world, plan, sub, item, now) for item in sub["items"]["data"]
                         if not lines.is_metered(item)]
    with world.events.update("customer.subscription.updated", sub, call):
        put_to_rest(sub, "pause_requested")
    for pending in plan.pending:
        invoice_items.add(world, call, pending)
    world.events.record("customer.subscription.paused", sub, call)
    taken = charging.waiting(world, sub)
    if params.get("invoicing_behavior") == "invoice" and taken:
        charging.issue(world, call, sub, charging.draft(
            world, sub, customer, "subscription_update", found, (now, now), taken))
    return sub


def resume(world, call, id):
    """It goes on: with a new period, unless the anchor is to stay."""
    from . import commit
    sub, params = world.of("subscription").get(id), call.params
    if sub["status"] != "paused":
        raise StripeError(400, "Only paused subscriptions can be resumed.")
    now, customer = world.clock.now_s(), world.of("customer").get(sub["customer"])
    plan = changes.Plan(changes.working_copy(sub))
    after = plan.after
    after["status"], after["status_details"] = "active", None
    if params.get("billing_cycle_anchor") not in ("unchanged", {"type": "unchanged"}):
        changes.begin_anew(after, now)
    for item in after["items"]["data"]:
        times.set_period(after, item, now)
        item["_usage_from"] = now
    found = [] if params.get("proration_behavior") == "none" else changes.fees(world, after, now)
    invoice = charging.draft(world, after, customer, "subscription_cycle", found, (now, now),
                             charging.waiting(world, sub)) if found else None
    if invoice:
        charging.check_payer(world, after, invoice, customer, "allow_incomplete")
    commit(world, call, sub, plan, invoice)
    world.events.record("customer.subscription.resumed", sub, call)
    if invoice:
        charging.issue(world, call, sub, invoice)
    world.agenda.watch(sub)
    return sub
