"""Invoices: made by hand or by subscriptions, finalized, paid, voided, sent; see billing/ for what is owed."""
from . import params as p
from .billing import bills, collect, discounts, invoice_items, lines, taxes
from .errors import StripeError, missing, missing_param
from .payments import methods
from .store import page
from .subscriptions import charging, cycle


def put(world, invoice):
    """Keep an invoice that a test made up, so that it can be fetched again."""
    if world.of("invoice").find(invoice.get("id")):
        world.of("invoice").find(invoice["id"]).update(invoice)
    elif invoice.get("id"):
        world.of("invoice").add({"_behind": (), "_payments": (), "_payment_intent": None, **invoice})


def create(world, call):
    params = call.params
    if not params.get("customer"):
        raise missing_param("customer")
    customer = world.of("customer").get(params["customer"], "customer")
    sub = params.get("subscription") and world.of("subscription").get(params["subscription"], "subscription")
    method = p.one_of(params, "collection_method", ("charge_automatically", "send_invoice"),
                      "charge_automatically")
    days = p.integer(params, "days_until_due")
    if method == "send_invoice" and days is None and not params.get("due_date"):
        raise missing_param("days_until_due")
    include_waiting = params.get("pending_invoice_items_behavior") == "include"
    taken = invoice_items.waiting(world, customer["id"], sub and sub["id"]) if include_waiting else []
    currency = (p.text(params, "currency") or (taken[0]["currency"] if taken else None)
                or customer["currency"] or "usd").lower()
    taken = [ii for ii in taken if ii["currency"] == currency]
    now = world.clock.now_s()
    rates = taxes.read_rates(world, params, "default_tax_rates")
    having = discounts.read(world, params, currency, customer["id"], None) or []
    payer = params.get("default_payment_method") and methods.attached(
        world, customer, params["default_payment_method"], "default_payment_method")
    invoice = bills.blank(
        world, customer, currency, "subscription_update" if sub else "manual", (now, now), sub or None,
        collection_method=method, auto_advance=p.boolean(params, "auto_advance"), days_until_due=days,
        metadata=p.metadata(params), description=p.text(params, "description"), rates=rates, discounts=having,
        default_payment_method=payer or None)
    invoice["_fixed"] = []
    if p.integer(params, "due_date"):
        invoice["_days_until_due"] = max((p.integer(params, "due_date") - now) // 86400, 0)
    put_lines(world, call, invoice, taken, customer)
    return collect.store(world, call, invoice)


def put_lines(world, call, invoice, pending, customer):
    invoice["_fixed"] = invoice["_fixed"] + [lines.of_invoice_item(world, ii) for ii in pending]
    invoice_items.take(world, call, pending, invoice)
    bills.fill(world, invoice, list(invoice["_fixed"]), customer)


def include(world, call, invoice, pending):
    """Invoice items onto a draft."""
    with world.events.update("invoice.updated", invoice, call):
        put_lines(world, call, invoice, pending, collect.customer_of(world, invoice))


def current(world, invoice):
    """A draft shows the usage as it is now."""
    if invoice["status"] == "draft" and invoice["_behind"]:
        sub = collect.subscription_of(world, invoice)
        charging.refresh(world, invoice, collect.customer_of(world, invoice), sub)
    return invoice


def retrieve(world, call, id):
    return current(world, world.of("invoice").get(id))


def list_lines(world, call, id):
    invoice = retrieve(world, call, id)
    found = page(invoice["lines"]["data"][::-1], call.params, "/v1/invoices/%s/lines" % id, "line_item")
    return found


DRAFT_ALONE = {"default_tax_rates", "discounts", "days_until_due", "due_date", "collection_method",
               "application_fee_amount"}


def update(world, call, id):
    invoice, params = world.of("invoice").get(id), call.params
    if invoice["status"] != "draft" and DRAFT_ALONE & set(params):
        raise StripeError(400, "Finalized invoices can't be updated in this way.", code="invoice_not_editable",
                          param=min(DRAFT_ALONE & set(params)))
    with world.events.update("invoice.updated", invoice, call):
        invoice["metadata"] = p.metadata(params, invoice["metadata"])
        p.copy_texts(invoice, params, ("description", "footer"))
        invoice["auto_advance"] = p.boolean(params, "auto_advance", invoice["auto_advance"])
        if params.get("default_payment_method"):
            invoice["default_payment_method"] = methods.attached(
                world, collect.customer_of(world, invoice), params["default_payment_method"],
                "default_payment_method")
        if "default_tax_rates" in params:
            invoice["default_tax_rates"] = taxes.read_rates(world, params, "default_tax_rates")
        if "days_until_due" in params:
            invoice["_days_until_due"] = p.integer(params, "days_until_due")
        if params.get("collection_method"):
            invoice["collection_method"] = params["collection_method"]
        if invoice["status"] == "draft":
            bills.fill(world, invoice, invoice["lines"]["data"], collect.customer_of(world, invoice))
    if not invoice["auto_advance"]:
        invoice["automatically_finalizes_at"] = invoice["next_payment_attempt"] = None
    elif invoice["status"] == "draft" and not invoice["automatically_finalizes_at"]:
        invoice["automatically_finalizes_at"] = world.clock.now_s() + collect.HOUR_S
        world.agenda.add(invoice["automatically_finalizes_at"], "invoice", invoice["id"])
    return invoice


def delete(world, call, id):
    invoice = world.of("invoice").get(id)
    if invoice["status"] != "draft" or invoice["parent"]:
        raise StripeError(400, "You can only delete draft invoices that are not of a subscription.",
                          code="invoice_not_editable")
    world.of("invoice").remove(id)
    world.invoices_by_customer[invoice["customer"]].remove(invoice)
    world.events.record("invoice.deleted", invoice, call)
    return {"id": id, "object": "invoice", "deleted": True}


def in_state(world, id, states, what):
    invoice = world.of("invoice").get(id)
    if invoice["status"] not in states:
        raise StripeError(400, "You can only %s an invoice whose status is %s; this one is %s." % (
            what, " or ".join(states), invoice["status"]), code=(
                "invoice_already_paid" if invoice["status"] == "paid" and what == "pay" else
                "invoice_not_editable"))
    return invoice


def finalize(world, call, id):
    invoice = in_state(world, id, ("draft",), "finalize")
    invoice["auto_advance"] = p.boolean(call.params, "auto_advance", invoice["auto_advance"])
    cycle.close(world, call, invoice, collect.subscription_of(world, invoice))
    return invoice


def pay(world, call, id):
    """By the method given, or by the one that would pay anyway. A draft is finalized first."""
    params = call.params
    invoice = in_state(world, id, ("draft", "open", "uncollectible"), "pay")
    method = None
    if params.get("payment_method"):
        method = methods.resolve(world, params["payment_method"])
        if method["customer"] not in (None, invoice["customer"]):
            raise missing("payment_method", params["payment_method"], "payment_method")
        if method["customer"] is None:
            methods.attach_to(world, call, method, collect.customer_of(world, invoice))
    if invoice["status"] == "draft":
        cycle.close(world, call, invoice, collect.subscription_of(world, invoice), pay=False)
        if invoice["status"] == "paid":
            return invoice
    if p.boolean(params, "paid_out_of_band"):
        collect.close_intent(world, call, invoice, None)
        collect.mark_paid(world, call, invoice, out_of_band=True)
        return invoice
    if method is None and collect.payer_of(world, invoice) is None:
        raise StripeError(400, charging.NO_METHOD, code="resource_missing")
    outcome = collect.attempt(world, call, invoice, method)
    if outcome != "ok":
        raise collect.declined(outcome, world, invoice)
    return invoice


def void(world, call, id):
    invoice = in_state(world, id, ("open", "uncollectible"), "void")
    collect.void(world, call, invoice)
    return invoice


def mark_uncollectible(world, call, id):
    invoice = in_state(world, id, ("open",), "mark as uncollectible")
    collect.mark_uncollectible(world, call, invoice)
    return invoice


def send(world, call, id):
    invoice = in_state(world, id, ("draft", "open"), "send")
    if invoice["collection_method"] != "send_invoice":
        raise StripeError(400, "You can only manually send an invoice whose collection_method is "
                          "'send_invoice'.")
    if invoice["status"] == "draft":
        cycle.close(world, call, invoice, collect.subscription_of(world, invoice))
    world.events.record("invoice.sent", invoice, call)
    return invoice


def subscription_id(invoice):
    details = (invoice.get("parent") or {}).get("subscription_details") or {}
    return details.get("subscription") or invoice.get("subscription")


def list_all(world, call):
    params = call.params
    wanted = {name: params[name] for name in ("customer", "status", "collection_method") if params.get(name)}

    def keep(invoice):
        return all(invoice.get(name) == value for name, value in wanted.items()) and (
            not params.get("subscription") or subscription_id(invoice) == params["subscription"]) and (
            not params.get("due_date") or (invoice["due_date"] is not None
                                           and p.in_range(invoice["due_date"], params["due_date"], "due_date")))
    found = world.of("invoice").page(params, "/v1/invoices", keep)
    for invoice in found["data"]:
        if invoice.get("_behind"):
            current(world, invoice)
    return found


def list_payments(world, call):
    """GET /v1/invoice_payments?invoice=, or by a payment intent."""
    params = call.params
    intent = p.group(params, "payment").get("payment_intent")
    wanted = {name: params[name] for name in ("invoice", "status") if params.get(name)}
    return world.of("invoice_payment").page(params, "/v1/invoice_payments", lambda payment: all(
        payment[name] == value for name, value in wanted.items()) and (
            not intent or payment["payment"]["payment_intent"] == intent))
