"""payment_behavior=pending_if_incomplete: a change waits in pending_update until its invoice is paid, at most
23 hours."""
from ..errors import StripeError
from ..billing import collect
from . import charging, times

TAKES = {"items", "payment_behavior", "proration_behavior", "proration_date", "billing_cycle_anchor", "trial_end",
         "trial_from_plan", "add_invoice_items", "expand", "off_session", "metadata", "discounts"}


def check(sub, params):
    refused = sorted(set(params) - TAKES)
    if refused:
        raise StripeError(400, "When `payment_behavior` is set to `pending_if_incomplete`, you cannot pass `%s`."
                          % refused[0], param=refused[0])
    if sub["collection_method"] == "send_invoice":
        raise StripeError(400, "`payment_behavior` cannot be `pending_if_incomplete` for subscriptions that send "
                          "invoices.", param="payment_behavior")


def begin(world, call, sub, params, given_items, invoice):
    invoice["_for_pending_update"] = True
    expires = world.clock.now_s() + times.INCOMPLETE_S
    with world.events.update("customer.subscription.updated", sub, call):
        sub["pending_update"] = {
            "billing_cycle_anchor": None, "discounts": None, "expires_at": expires, "metadata": None,
            "subscription_items": [{"id": given.get("id"), "object": "subscription_item", "price": given.get(
                "price"), "quantity": given.get("quantity")} for given in given_items],
            "trial_end": None, "trial_from_plan": None}
        sub["_pending"] = {**params, "proration_behavior": "none", "payment_behavior": "allow_incomplete"}, \
            given_items, invoice["id"]
        sub["latest_invoice"] = invoice["id"]
    charging.issue(world, call, sub, invoice)
    world.agenda.watch(sub)


def paid(world, call, sub, invoice):
    """What waited for this invoice is done."""
    from . import changes, commit
    if not sub["pending_update"] or sub["_pending"][2] != invoice["id"]:
        return
    params, given_items, _ = sub["_pending"]
    sub["pending_update"] = sub["_pending"] = None
    commit(world, call, sub, changes.plan(world, call, sub, params, given_items))
    world.events.record("customer.subscription.pending_update_applied", sub, call)
    world.agenda.watch(sub)


def expire(world, sub):
    invoice = world.of("invoice").get(sub["_pending"][2])
    sub["pending_update"] = sub["_pending"] = None
    world.events.record("customer.subscription.pending_update_expired", sub, None)
    if invoice["status"] == "open":
        collect.void(world, None, invoice)
