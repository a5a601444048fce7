"""Customers."""
from . import params as p
from . import subscriptions

TEXTS = ("email", "name", "description", "phone")
FIELDS = set(TEXTS) | {"metadata", "address", "balance", "shipping", "tax_exempt", "source",
                       "invoice_settings", "preferred_locales", "payment_method", "test_clock",
                       "invoice_prefix", "next_invoice_sequence", "tax", "tax_id_data", "coupon",
                       "cash_balance", "promotion_code", "default_source"}


def create(world, call):
    p.check(call.params, FIELDS)
    return add(world, call, call.params)


def add(world, call, params):
    customer = {
        "id": world.ids.new("cus"), "object": "customer", "address": None, "balance": 0,
        "created": world.clock.now_s(), "currency": None, "default_source": None,
        "delinquent": False, "description": None, "email": None,
        "invoice_prefix": world.ids.new("", 8)[1:].upper(),
        "invoice_settings": {"custom_fields": None, "default_payment_method": None, "footer": None,
                             "rendering_options": None},
        "livemode": False, "metadata": p.metadata(params), "name": None, "next_invoice_sequence": 1,
        "phone": None, "preferred_locales": [], "shipping": None, "tax_exempt": "none",
        "test_clock": None}
    change(customer, params)
    world.of("customer").add(customer)
    world.subscriptions_by_customer[customer["id"]] = []
    world.events.record("customer.created", customer, call)
    return customer


def change(customer, params):
    p.copy_texts(customer, params, TEXTS)
    customer["balance"] = p.integer(params, "balance", customer["balance"])
    customer["tax_exempt"] = p.one_of(params, "tax_exempt", ("none", "exempt", "reverse"),
                                      customer["tax_exempt"])
    for name in ("address", "shipping"):
        if name in params:
            customer[name] = p.group(params, name) or None
    customer["invoice_settings"].update(p.group(params, "invoice_settings"))


def retrieve(world, call, id):
    return deleted(world, id) or world.of("customer").get(id)


def deleted(world, id):
    return world.deleted_customers.get(id)


def update(world, call, id):
    customer = world.of("customer").get(id)
    p.check(call.params, FIELDS)
    with world.events.update("customer.updated", customer, call):
        customer["metadata"] = p.metadata(call.params, customer["metadata"])
        change(customer, call.params)
    return customer


def delete(world, call, id):
    customer = world.of("customer").get(id)
    for sub in world.subscriptions_by_customer[id]:
        if sub["status"] != "canceled":
            subscriptions.end(world, call, sub)
    world.of("customer").remove(id)
    gone = {"id": id, "object": "customer", "deleted": True}
    world.deleted_customers[id] = gone
    world.events.record("customer.deleted", customer, call)
    return gone


def list_all(world, call):
    email = call.params.get("email")
    return world.of("customer").page(call.params, "/v1/customers",
                                     email and (lambda c: c["email"] == email))
