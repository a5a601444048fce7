"""Setup intents: a card is saved for later, with its holder present."""
from .. import params as p
from ..errors import StripeError
from . import cards, methods


def create(world, call):
    params = call.params
    intent = add(world, call, params)
    if params.get("payment_method"):
        intent["payment_method"] = methods.resolve(world, params["payment_method"])["id"]
        intent["status"] = "requires_confirmation"
    if p.boolean(params, "confirm"):
        confirm_by(world, call, intent, params)
    return intent


def add(world, call, params):
    id = world.ids.new("seti", 24)
    customer = params.get("customer") and world.of("customer").get(params["customer"], "customer")
    intent = world.of("setup_intent").add({
        "id": id, "object": "setup_intent", "allowed_payment_method_types": None,
        "application": None, "automatic_payment_methods": None,
        "cancellation_reason": None, "client_secret": id + "_secret_" + world.ids.new("x", 24)[2:],
        "created": world.clock.now_s(), "customer": customer["id"] if customer else None,
        "customer_account": None, "description": p.text(params, "description"),
        "excluded_payment_method_types": None,
        "flow_directions": None, "last_setup_error": None, "latest_attempt": None,
        "livemode": False, "mandate": None, "metadata": p.metadata(params), "next_action": None,
        "on_behalf_of": None, "payment_method": None, "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": ["card"], "single_use_mandate": None,
        "status": "requires_payment_method",
        "usage": p.one_of(params, "usage", ("off_session", "on_session"), "off_session")})
    world.events.record("setup_intent.created", intent, call)
    return intent


def retrieve(world, call, id):
    return world.of("setup_intent").get(id)


def confirm(world, call, id):
    intent = world.of("setup_intent").get(id)
    confirm_by(world, call, intent, call.params)
    return intent


def confirm_by(world, call, intent, params):
    if intent["status"] not in ("requires_payment_method", "requires_confirmation"):
        raise StripeError(400, "You cannot confirm this SetupIntent because it has a status of %s."
                          % intent["status"], code="setup_intent_unexpected_state")
    id = params.get("payment_method") or intent["payment_method"]
    if not id:
        raise StripeError(400, "You cannot confirm this SetupIntent because it's missing a payment "
                          "method.", code="setup_intent_unexpected_state")
    method = methods.resolve(world, id)
    card = methods.card_of(method)
    if card.attach != "ok":
        code, decline_code, message = cards.refusal(card.attach)
        intent.update(status="requires_payment_method", payment_method=None, last_setup_error={
            "code": code, "decline_code": decline_code, "message": message, "type": "card_error"})
        world.events.record("setup_intent.setup_failed", intent, call)
        raise cards.card_error(card.attach)
    intent["payment_method"] = method["id"]
    if card.charge.startswith("authenticate"):
        intent.update(status="requires_action", next_action={
            "type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}})
        world.events.record("setup_intent.requires_action", intent, call)
    else:
        succeed(world, call, intent, method)


def cancel(world, call, id):
    intent = world.of("setup_intent").get(id)
    if intent["status"] in ("succeeded", "canceled"):
        raise StripeError(400, "You cannot cancel this SetupIntent because it has a status of %s."
                          % intent["status"], code="setup_intent_unexpected_state")
    with world.events.update("setup_intent.canceled", intent, call):
        intent["status"], intent["next_action"] = "canceled", None
        intent["cancellation_reason"] = call.params.get("cancellation_reason")
    return intent


def succeed(world, call, intent, method):
    if intent["customer"]:
        methods.attach_to(world, call, method, world.of("customer").get(intent["customer"]))
    method["_set_up"] = True
    intent.update(status="succeeded", next_action=None, last_setup_error=None)
    world.events.record("setup_intent.succeeded", intent, call)
