"""Invoice items: what waits for the next invoice, prorations among it."""
from .. import params as p
from ..errors import StripeError, missing_param
from . import amounts, money, taxes


def make(world, customer_id, amount, currency, description, period, **fields):
    """fields: quantity, price, unit, proration, discountable, rates, sub, item, metadata, proration_details."""
    price, sub = fields.get("price"), fields.get("sub")
    proration, quantity = fields.get("proration", False), fields.get("quantity", 1)
    return {
        "id": world.ids.new("ii", 24), "object": "invoiceitem", "amount": amount, "currency": currency,
        "customer": customer_id, "customer_account": None, "date": world.clock.now_s(),
        "description": description,
        "discountable": fields.get("discountable", not proration and amount >= 0), "discounts": [],
        "invoice": None, "livemode": False, "metadata": dict(fields.get("metadata") or {}),
        "net_amount": amount, "parent": sub and {"type": "subscription_details", "subscription_details": {
            "subscription": sub["id"], "subscription_item": fields.get("item")}},
        "period": {"start": period[0], "end": period[1]},
        "pricing": price and {"type": "price_details", "unit_amount_decimal": fields.get("unit"),
                              "price_details": {"price": price["id"], "product": price["product"]}},
        "proration": proration, "proration_details": fields.get("proration_details"), "quantity": quantity,
        "quantity_decimal": str(quantity), "tax_rates": list(fields.get("rates", ())), "test_clock": None,
        "_price": price, "_unit": fields.get("unit"), "_subscription": sub and sub["id"],
        "_item": fields.get("item")}


def add(world, call, pending):
    world.of("invoiceitem").add(pending)
    world.pending_by_customer.setdefault(pending["customer"], []).append(pending)
    world.events.record("invoiceitem.created", pending, call)
    return pending


def waiting(world, customer_id, subscription_id=None, currency=None):
    """What the subscription's next invoice takes: its own, and the customer's that name none."""
    return [ii for ii in world.pending_by_customer.get(customer_id, ())
            if ii["_subscription"] in (None, subscription_id) and currency in (None, ii["currency"])]


def take(world, call, pending, invoice):
    """They stand on an invoice now."""
    for ii in pending:
        waiting_of = world.pending_by_customer.get(ii["customer"], [])
        if ii in waiting_of:
            waiting_of.remove(ii)
        ii["invoice"] = invoice["id"]


def create(world, call):
    params = call.params
    if not params.get("customer"):
        raise missing_param("customer")
    customer = world.of("customer").get(params["customer"], "customer")
    price, unit, amount, currency = read_amount(world, params)
    sub = params.get("subscription") and world.of("subscription").get(params["subscription"], "subscription")
    invoice = params.get("invoice") and world.of("invoice").get(params["invoice"], "invoice")
    if invoice and invoice["status"] != "draft":
        raise StripeError(400, "The invoice %s is not a draft any more." % invoice["id"], param="invoice",
                          code="invoice_not_editable")
    now = world.clock.now_s()
    period = p.group(params, "period")
    pending = make(world, customer["id"], amount, currency, p.text(params, "description"),
                   (p.integer(period, "start", now), p.integer(period, "end", now)),
                   quantity=p.integer(params, "quantity", 1), price=price, unit=unit, sub=sub or None,
                   discountable=p.boolean(params, "discountable", amount >= 0),
                   rates=taxes.read_rates(world, params, "tax_rates"), metadata=p.metadata(params))
    add(world, call, pending)
    if invoice:
        from ..invoices import include
        include(world, call, invoice, [pending])
    return pending


def read_amount(world, params):
    """(price, text of a unit's amount, amount, currency)"""
    price_id = p.group(params, "pricing").get("price") or params.get("price")
    quantity = p.integer(params, "quantity", 1)
    if price_id:
        price = world.of("price").get(price_id, "pricing[price]")
        if price["recurring"]:
            raise StripeError(400, "The price specified is set to `type=recurring` but this field only "
                              "accepts prices with `type=one_time`.", param="pricing[price]")
        return price, price["unit_amount_decimal"], money.rounded(
            amounts.total(price, quantity), price["currency"]), price["currency"]
    currency = (p.text(params, "currency", most=3) or "usd").lower()
    unit = params.get("unit_amount_decimal") or params.get("unit_amount")
    if unit:
        return None, str(unit), money.rounded(money.exact(unit) * quantity, currency), currency
    amount = p.integer(params, "amount")
    if amount is None:
        raise missing_param("amount")
    return None, str(amount), amount, currency


def retrieve(world, call, id):
    return world.of("invoiceitem").get(id)


def delete(world, call, id):
    pending = world.of("invoiceitem").get(id)
    if pending["invoice"]:
        raise StripeError(400, "You cannot delete an invoice item that is on an invoice.",
                          code="invoice_not_editable")
    world.pending_by_customer[pending["customer"]].remove(pending)
    world.of("invoiceitem").remove(id)
    world.events.record("invoiceitem.deleted", pending, call)
    return {"id": id, "object": "invoiceitem", "deleted": True}


def list_all(world, call):
    params = call.params
    waits = params.get("pending")

    def keep(ii):
        return all(ii[name] == params[name] for name in ("customer", "invoice") if params.get(name)) \
            and (waits is None or (ii["invoice"] is None) == p.boolean(params, "pending"))
    return world.of("invoiceitem").page(params, "/v1/invoiceitems", keep)
