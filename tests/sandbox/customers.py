"""Customers, and the payment method that their invoices use."""
from . import params as p
from . import search, subscriptions
from .billing import discounts
from .payments import methods

TEXTS = ("email", "name", "description", "phone")
EXEMPT = ("none", "exempt", "reverse")
SEARCHED = ("created", "email", "name", "phone")


def create(world, call):
    return add(world, call, call.params)


def add(world, call, params):
    customer = {
        "id": world.ids.new("cus"), "object": "customer", "address": None, "balance": 0,
        "created": world.clock.now_s(), "currency": None, "customer_account": None,
        "default_source": None, "delinquent": False, "description": None, "discount": None, "email": None,
        "invoice_prefix": p.text(params, "invoice_prefix") or world.ids.new("", 8)[1:].upper(),
        "invoice_settings": {"custom_fields": None, "default_payment_method": None, "footer": None,
                             "rendering_options": None},
        "livemode": False, "metadata": p.metadata(params), "name": None,
        "next_invoice_sequence": p.integer(params, "next_invoice_sequence", 1),
        "phone": None, "preferred_locales": p.listed(params, "preferred_locales"),
        "shipping": None, "tax_exempt": "none", "test_clock": None}
    method = given_method(world, customer, params)
    change(world, customer, params, method)
    world.of("customer").add(customer)
    world.subscriptions_by_customer[customer["id"]] = []
    world.indexes["customer"].note(customer)
    world.events.record("customer.created", customer, call)
    if params.get("coupon"):
        discounts.set_of_customer(world, call, customer, params["coupon"])
    if method:
        methods.attach_to(world, call, method, customer)
    return customer


def given_method(world, customer, params):
    """The method that payment_method asks to attach; checked before anything is changed."""
    if not params.get("payment_method"):
        return None
    method = methods.resolve(world, params["payment_method"])
    methods.check_attachable(method, customer)
    return method


def change(world, customer, params, method=None):
    settings = {k: v or None for k, v in p.group(params, "invoice_settings").items()}
    default = settings.get("default_payment_method")
    if default:
        settings["default_payment_method"] = default_method(world, customer, default, params, method)
    balance = p.integer(params, "balance", customer["balance"])
    tax_exempt = p.one_of(params, "tax_exempt", EXEMPT, customer["tax_exempt"])
    p.copy_texts(customer, params, TEXTS)
    customer["balance"], customer["tax_exempt"] = balance, tax_exempt
    for name in ("address", "shipping"):
        if name in params:
            customer[name] = p.group(params, name) or None
    if "preferred_locales" in params:
        customer["preferred_locales"] = p.listed(params, "preferred_locales")
    customer["invoice_settings"].update(settings)


def default_method(world, customer, id, params, method):
    """It must be the customer's own, or the one that this call attaches."""
    if method and id in (method["id"], params["payment_method"]):
        return method["id"]
    return methods.attached(world, customer, id, "invoice_settings[default_payment_method]")


def retrieve(world, call, id):
    return deleted(world, id) or world.of("customer").get(id)


def deleted(world, id):
    return world.deleted_customers.get(id)


def update(world, call, id):
    customer = world.of("customer").get(id)
    method = given_method(world, customer, call.params)
    with world.events.update("customer.updated", customer, call):
        change(world, customer, call.params, method)
        customer["metadata"] = p.metadata(call.params, customer["metadata"])
        if "coupon" in call.params:
            discounts.set_of_customer(world, call, customer, call.params["coupon"])
    world.indexes["customer"].note(customer)
    if method:
        methods.attach_to(world, call, method, customer)
    return customer


def delete(world, call, id):
    customer = world.of("customer").get(id)
    for sub in world.subscriptions_by_customer[id]:
        if sub["status"] not in subscriptions.ENDED:
            subscriptions.end(world, call, sub)
    for method in list(methods.of_customer(world, id)):
        methods.detach_from(world, call, method)
    world.of("customer").remove(id)
    world.customers_kept[id] = customer
    world.indexes["customer"].forget(id)
    gone = {"id": id, "object": "customer", "deleted": True}
    world.deleted_customers[id] = gone
    world.events.record("customer.deleted", customer, call)
    return gone


def list_all(world, call):
    email = call.params.get("email")
    return world.of("customer").page(call.params, "/v1/customers",
                                     email and (lambda c: c["email"] == email))


def find(world, call):
    return search.answer(world, call, "customer", "/v1/customers/search")
