"""Payment methods. A test card's name, such as pm_card_visa, stands for a new card each time."""
from .. import params as p
from ..errors import StripeError, missing, missing_param
from ..store import page
from . import cards


def create(world, call):
    params = call.params
    if p.text(params, "type") is None:
        raise missing_param("type")
    if params["type"] != "card":
        raise StripeError(400, "The payment method type provided: %s is invalid. The sandbox has "
                          "cards alone." % params["type"], param="type")
    given = p.group(params, "card")
    if given.get("token"):
        card = cards.named(given["token"])
        if card is None:
            raise missing("token", given["token"], "card[token]")
    elif given.get("number"):
        card = cards.numbered(given["number"])
    else:
        raise missing_param("card")
    return add(world, card, params)


def add(world, card, params=()):
    params = dict(params)
    details = p.group(params, "billing_details")
    method = {
        "id": world.ids.new("pm", 24), "object": "payment_method", "allow_redisplay": "unspecified",
        "billing_details": {"address": details.get("address") or {
            "city": None, "country": None, "line1": None, "line2": None, "postal_code": None,
            "state": None}, "email": details.get("email"), "name": details.get("name"),
            "phone": details.get("phone"), "tax_id": None},
        "card": {"brand": card.brand, "checks": {
            "address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
            "country": "US", "display_brand": card.brand, "exp_month": 12, "exp_year": 2040,
            "fingerprint": "fp" + card.number[::-1][:14], "funding": "credit",
            "generated_from": None, "last4": card.last4,
            "networks": {"available": [card.brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True}, "wallet": None},
        "created": world.clock.now_s(), "customer": None, "customer_account": None,
        "livemode": False, "metadata": p.metadata(params), "type": "card",
        "_card": card.name, "_set_up": False,
        "_holder_is_here": False, "_was_attached": False}
    return world.of("payment_method").add(method)


def card_of(method):
    return cards.BY_NAME[method["_card"]]


def resolve(world, id, param="payment_method"):
    """The method of an id; of a test card's name a new one."""
    card = cards.named(id)
    return add(world, card) if card else world.of("payment_method").get(id, param)


def retrieve(world, call, id):
    card = cards.named(id)
    return add(world, card) if card else world.of("payment_method").get(id)


def update(world, call, id):
    method = world.of("payment_method").get(id)
    if method["customer"] is None:
        raise StripeError(400, "You must save this PaymentMethod to a customer before you can "
                          "update it.")
    with world.events.update("payment_method.updated", method, call):
        method["metadata"] = p.metadata(call.params, method["metadata"])
        method["billing_details"].update(p.group(call.params, "billing_details"))
        for name in ("exp_month", "exp_year"):
            method["card"][name] = p.integer(p.group(call.params, "card"), name,
                                             method["card"][name])
    return method


def attach(world, call, id):
    if not call.params.get("customer"):
        raise missing_param("customer")
    customer = world.of("customer").get(call.params["customer"], "customer")
    return attach_to(world, call, resolve(world, id), customer)


def check_attachable(method, customer):
    if method["customer"] == customer["id"]:
        return
    if method["customer"] is not None:
        raise StripeError(400, "The payment method you provided has already been attached to a "
                          "customer.", code="payment_method_unexpected_state")
    if method["_was_attached"]:
        raise StripeError(400, "This PaymentMethod was previously used without being attached to a "
                          "Customer or was detached from a Customer, and may not be used again.",
                          code="payment_method_unexpected_state")
    if card_of(method).attach != "ok":
        raise cards.card_error(card_of(method).attach)


def attach_to(world, call, method, customer):
    check_attachable(method, customer)
    if method["customer"] is None:
        method["customer"] = customer["id"]
        method["_was_attached"] = True
        world.payment_methods_by_customer.setdefault(customer["id"], []).append(method)
        world.events.record("payment_method.attached", method, call)
    return method


def detach(world, call, id):
    method = world.of("payment_method").get(id)
    if method["customer"] is None:
        raise StripeError(400, "The payment method you provided is not attached to a customer so "
                          "detachment is impossible.", code="payment_method_unexpected_state")
    detach_from(world, call, method)
    return method


def detach_from(world, call, method):
    customer = world.of("customer").get(method["customer"])
    world.payment_methods_by_customer[customer["id"]].remove(method)
    with world.events.update("customer.updated", customer, call):
        if customer["invoice_settings"]["default_payment_method"] == method["id"]:
            customer["invoice_settings"]["default_payment_method"] = None
    for sub in world.subscriptions_by_customer.get(customer["id"], ()):
        with world.events.update("customer.subscription.updated", sub, call):
            if sub["default_payment_method"] == method["id"] and sub["ended_at"] is None:
                sub["default_payment_method"] = None
    previous, method["customer"] = {"customer": customer["id"]}, None
    world.events.record("payment_method.detached", method, call, previous)


def of_customer(world, customer_id):
    return world.payment_methods_by_customer.get(customer_id, [])


def attached(world, customer, id, param):
    """The id of a method that is the customer's own."""
    for method in of_customer(world, customer["id"]):
        if method["id"] == id:
            return id
    raise StripeError(400, "The customer does not have a payment method with the ID %s. The "
                      "payment method must be attached to the customer." % id,
                      code="resource_missing", param=param)


def list_all(world, call):
    """GET /v1/payment_methods?customer="""
    params = call.params
    if not params.get("customer"):
        return page([], params, "/v1/payment_methods", "payment_method")
    return listed(world, params, params["customer"], "/v1/payment_methods")


def list_of_customer(world, call, id):
    return listed(world, call.params, id, "/v1/customers/%s/payment_methods" % id)


def listed(world, params, customer_id, url):
    world.of("customer").get(customer_id, "customer")
    kind = params.get("type")
    return page(of_customer(world, customer_id), params, url, "payment_method",
                lambda method: kind in (None, "", method["type"]))


def retrieve_of_customer(world, call, customer_id, id):
    customer = world.of("customer").get(customer_id, "customer")
    attached(world, customer, id, "payment_method")
    return world.of("payment_method").get(id)


def default_of(world, customer, sub=None):
    """Who pays: what the subscription says, then what the customer's invoices use; or None."""
    id = (sub or {}).get("default_payment_method") \
        or customer["invoice_settings"]["default_payment_method"]
    return world.of("payment_method").find(id) if id else None
