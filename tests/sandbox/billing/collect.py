"""Finalizing invoices and getting them paid: numbers, attempts, and what a failure does to a subscription."""
from ..payments import cards, intents, methods
from . import bills

HOUR_S, DAY_S = 3600, 86400
INCOMPLETE_S = 23 * HOUR_S


def customer_of(world, invoice):
    return world.of("customer").find(invoice["customer"]) or world.customers_kept[invoice["customer"]]


def subscription_of(world, invoice):
    details = (invoice.get("parent") or {}).get("subscription_details")
    return details and world.of("subscription").find(details["subscription"])


def store(world, call, invoice, finalizes_in_s=HOUR_S):
    """Keep a draft; the agenda finalizes it, if it is to go on by itself."""
    world.of("invoice").add(invoice)
    world.invoices_by_customer.setdefault(invoice["customer"], []).append(invoice)
    if invoice["auto_advance"]:
        invoice["automatically_finalizes_at"] = world.clock.now_s() + finalizes_in_s
        world.agenda.add(invoice["automatically_finalizes_at"], "invoice", invoice["id"])
    world.events.record("invoice.created", invoice, call)
    return invoice


def finalize(world, call, invoice, pay=True, pay_with=None):
    """Amounts and number are fixed; what is owed is charged, if the invoice is to be collected by itself."""
    customer, now = customer_of(world, invoice), world.clock.now_s()
    bills.settle_balance(invoice, customer["balance"])
    number = customer["next_invoice_sequence"]
    customer["next_invoice_sequence"] = number + 1
    with world.events.update("customer.updated", customer, call):
        customer["balance"] = invoice["_balance_after"]
        customer["currency"] = customer["currency"] or invoice["currency"]
    secret = world.ids.new("live", 40)[5:]
    page = "%s/_pages/invoices/%s" % (world.url_of(call), secret)
    world.invoice_links[secret] = invoice
    days = invoice["_days_until_due"]
    invoice.update(
        status="open", number="%s-%04d" % (customer["invoice_prefix"], number), effective_at=now,
        automatically_finalizes_at=None, ending_balance=customer["balance"],
        hosted_invoice_url=page, invoice_pdf=page + "/pdf?s=ap",
        due_date=now + days * DAY_S if days is not None else None)
    invoice["status_transitions"]["finalized_at"] = now
    if invoice["amount_due"]:
        intent = intents.add(world, call, invoice["amount_due"], invoice["currency"], customer["id"], {
            "description": "Invoice " + invoice["number"]}, invoice["id"])
        invoice["_payment_intent"] = intent["id"]
        invoice["_payments"] = [payment_of(world, invoice, intent)]
    world.events.record("invoice.finalized", invoice, call)
    if not invoice["amount_due"]:
        mark_paid(world, call, invoice)
    elif pay and invoice["auto_advance"] and invoice["collection_method"] == "charge_automatically":
        attempt(world, call, invoice, pay_with, by_itself=True)


def payment_of(world, invoice, intent):
    return world.of("invoice_payment").add({
        "id": world.ids.new("inpay", 24), "object": "invoice_payment", "amount_paid": None,
        "amount_requested": intent["amount"], "created": world.clock.now_s(), "currency": intent["currency"],
        "invoice": invoice["id"], "is_default": True, "livemode": False,
        "payment": {"type": "payment_intent", "payment_intent": intent["id"]}, "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None}})


def payer_of(world, invoice):
    id = invoice["default_payment_method"]
    if id and world.of("payment_method").find(id):
        return world.of("payment_method").find(id)
    return methods.default_of(world, customer_of(world, invoice), subscription_of(world, invoice))


def attempt(world, call, invoice, method=None, by_itself=False, authenticated=False):
    """Try to charge what is owed -> "ok", "authenticate", "no_method" or a decline code."""
    intent = world.of("payment_intent").find(invoice["_payment_intent"])
    method = method or payer_of(world, invoice)
    with world.events.update("invoice.updated", invoice, call):
        invoice["attempted"] = True
        if method is None:
            outcome = "no_method"
        else:
            intent["status"] = "requires_confirmation"
            outcome = intents.try_to_pay(world, call, intent, method, authenticated=authenticated)
            invoice["_charge"] = intent["latest_charge"]
        if by_itself or not invoice["attempt_count"]:
            invoice["attempt_count"] += 1
        if outcome == "ok":
            set_paid(world, invoice)
        elif by_itself:
            plan_next(world, invoice)
    if outcome == "ok":
        tell_paid(world, call, invoice)
        return outcome
    world.events.record("invoice.payment_failed", invoice, call)
    if outcome == "authenticate":
        world.events.record("invoice.payment_action_required", invoice, call)
    failed(world, call, invoice, by_itself)
    return outcome


def plan_next(world, invoice):
    """When it is tried again: so many days later, by the account's setting; null after the last."""
    waits, tries = world.options.retry_days, invoice["attempt_count"]
    renews = invoice["billing_reason"] in ("subscription_cycle", "subscription_update", "manual")
    if not invoice["auto_advance"] or tries > len(waits) or not renews:
        invoice["next_payment_attempt"] = None
        return
    invoice["next_payment_attempt"] = world.clock.now_s() + waits[tries - 1] * DAY_S
    world.agenda.add(invoice["next_payment_attempt"], "invoice", invoice["id"])


def mark_paid(world, call, invoice, out_of_band=False):
    with world.events.update("invoice.updated", invoice, call):
        set_paid(world, invoice, out_of_band)
    tell_paid(world, call, invoice, out_of_band)


def set_paid(world, invoice, out_of_band=False):
    invoice.update(status="paid", amount_paid=0 if out_of_band else invoice["amount_due"],
                   amount_remaining=0, next_payment_attempt=None, attempted=True)
    invoice["_paid_out_of_band"] = out_of_band
    invoice["status_transitions"]["paid_at"] = world.clock.now_s()


def tell_paid(world, call, invoice, out_of_band=False):
    now = world.clock.now_s()
    for payment in invoice["_payments"]:
        if out_of_band:
            payment["status"], payment["status_transitions"]["canceled_at"] = "canceled", now
        else:
            payment.update(status="paid", amount_paid=invoice["amount_due"])
            payment["status_transitions"]["paid_at"] = now
            world.events.record("invoice_payment.paid", payment, call)
    world.events.record("invoice.paid", invoice, call)
    if not out_of_band:
        world.events.record("invoice.payment_succeeded", invoice, call)
    recovered(world, call, invoice)


def recovered(world, call, invoice):
    """What a payment does to the subscription and to the customer."""
    sub, customer = subscription_of(world, invoice), customer_of(world, invoice)
    owing = [i for i in world.invoices_by_customer.get(invoice["customer"], ()) if i["status"] == "open"
             and i["attempted"] and i["collection_method"] == "charge_automatically"]
    with world.events.update("customer.updated", customer, call):
        customer["delinquent"] = customer["delinquent"] and bool(owing)
    if sub is None or sub["ended_at"]:
        return
    from ..subscriptions import pending
    pending.paid(world, call, sub, invoice)
    intent = invoice["_payment_intent"] and world.of("payment_intent").find(invoice["_payment_intent"])
    if intent and intent["status"] == "succeeded" \
            and sub["payment_settings"]["save_default_payment_method"] == "on_subscription":
        with world.events.update("customer.subscription.updated", sub, call):
            sub["default_payment_method"] = sub["default_payment_method"] or intent["payment_method"]
    theirs = [i for i in owing if subscription_of(world, i) is sub]
    if sub["status"] == "incomplete" or (sub["status"] in ("past_due", "unpaid") and not theirs):
        with world.events.update("customer.subscription.updated", sub, call):
            sub["status"] = "trialing" if sub["trial_end"] and sub["trial_end"] > world.clock.now_s() else "active"
        world.agenda.watch(sub)


def failed(world, call, invoice, by_itself):
    sub, customer = subscription_of(world, invoice), customer_of(world, invoice)
    with world.events.update("customer.updated", customer, call):
        customer["delinquent"] = True
    if sub is None or sub["ended_at"] or not by_itself:
        return
    if sub["status"] == "active" and not invoice.get("_for_pending_update"):
        with world.events.update("customer.subscription.updated", sub, call):
            sub["status"] = "past_due"
    final = invoice["next_payment_attempt"] is None and invoice["attempt_count"] > len(world.options.retry_days)
    if sub["status"] == "past_due" and final and world.options.after_retries != "past_due":
        give_up(world, call, sub)


def give_up(world, call, sub):
    """All tries failed: what the account says is done."""
    from .. import subscriptions
    if world.options.after_retries == "cancel":
        subscriptions.end(world, call, sub, reason="payment_failed")
    else:
        with world.events.update("customer.subscription.updated", sub, call):
            sub["status"] = "unpaid"


def void(world, call, invoice):
    with world.events.update("invoice.updated", invoice, call):
        invoice["status"], invoice["next_payment_attempt"] = "void", None
        invoice["status_transitions"]["voided_at"] = world.clock.now_s()
    close_intent(world, call, invoice, "void_invoice")
    world.events.record("invoice.voided", invoice, call)


def close_intent(world, call, invoice, reason):
    intent = invoice["_payment_intent"] and world.of("payment_intent").find(invoice["_payment_intent"])
    if intent and intent["status"] not in ("succeeded", "canceled"):
        intents.cancel_intent(world, call, intent, reason)
        for payment in invoice["_payments"]:
            payment["status"] = "canceled"
            payment["status_transitions"]["canceled_at"] = world.clock.now_s()


def stop_collecting(world, call, customer_id):
    """A cancellation ends the automatic collection of what is finalized."""
    for invoice in world.invoices_by_customer.get(customer_id, ()):
        if invoice["status"] == "open" and invoice["auto_advance"]:
            with world.events.update("invoice.updated", invoice, call):
                invoice["auto_advance"], invoice["next_payment_attempt"] = False, None


def declined(outcome, world, invoice):
    """The 402 of a payment that somebody asked for."""
    if outcome == "authenticate":
        error = cards.card_error("authenticate", {"payment_intent": shown_intent(world, invoice)})
        error.code = "invoice_payment_intent_requires_action"
        error.message = "This payment requires additional user action before it can be completed successfully."
        return error
    return cards.card_error(outcome, {"payment_intent": shown_intent(world, invoice)})


def shown_intent(world, invoice):
    intent = world.of("payment_intent").find(invoice["_payment_intent"])
    return {k: v for k, v in intent.items() if k[0] != "_"}


def mark_uncollectible(world, call, invoice):
    with world.events.update("invoice.updated", invoice, call):
        invoice["status"], invoice["next_payment_attempt"] = "uncollectible", None
        invoice["status_transitions"]["marked_uncollectible_at"] = world.clock.now_s()
    world.events.record("invoice.marked_uncollectible", invoice, call)
