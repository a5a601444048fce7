"""Payment intents and their charges: every try to pay is a charge, with its events."""
from .. import params as p
from ..errors import StripeError, missing_param
from . import cards, methods

MOST = 99_999_999


def create(world, call):
    params = call.params
    amount, currency = p.integer(params, "amount"), p.text(params, "currency", most=3)
    if amount is None:
        raise missing_param("amount")
    if currency is None:
        raise missing_param("currency")
    if not 1 <= amount <= MOST:
        raise StripeError(400, "This value must be greater than or equal to 1." if amount < 1 else
                          "Amount must be no more than 99999999.", param="amount",
                          code="parameter_invalid_integer")
    customer = params.get("customer") and world.of("customer").get(params["customer"], "customer")
    intent = add(world, call, amount, currency.lower(), customer and customer["id"], params)
    if params.get("payment_method"):
        intent["payment_method"] = methods.resolve(world, params["payment_method"])["id"]
        intent["status"] = "requires_confirmation"
    if p.boolean(params, "confirm"):
        confirm_by(world, call, intent, params)
    return intent


def add(world, call, amount, currency, customer, params=(), invoice=None):
    params, id = dict(params), world.ids.new("pi", 24)
    intent = world.of("payment_intent").add({
        "id": id, "object": "payment_intent", "amount": amount, "amount_capturable": 0,
        "allowed_payment_method_types": None, "amount_details": {"tip": {}}, "amount_received": 0, "application": None,
        "application_fee_amount": None, "automatic_payment_methods": None, "canceled_at": None,
        "cancellation_reason": None, "capture_method": "automatic",
        "client_secret": id + "_secret_" + world.ids.new("x", 24)[2:],
        "confirmation_method": "automatic", "created": world.clock.now_s(), "currency": currency,
        "customer": customer, "customer_account": None,
        "description": p.text(params, "description"), "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None, "livemode": False, "managed_payments": None, "metadata": p.metadata(params),
        "next_action": None, "on_behalf_of": None, "payment_method": None,
        "payment_method_configuration_details": None, "payment_method_options": {},
        "payment_method_types": ["card"], "payment_record": None, "processing": None,
        "receipt_email": None, "review": None,
        "setup_future_usage": params.get("setup_future_usage") or None, "shipping": None,
        "source": None, "statement_descriptor": None, "statement_descriptor_suffix": None,
        "status": "requires_payment_method", "transfer_data": None, "transfer_group": None,
        "_invoice": invoice})
    world.events.record("payment_intent.created", intent, call)
    return intent


def retrieve(world, call, id):
    return world.of("payment_intent").get(id)


def list_all(world, call):
    customer = call.params.get("customer")
    return world.of("payment_intent").page(call.params, "/v1/payment_intents", customer and (
        lambda intent: intent["customer"] == customer))


def confirm(world, call, id):
    intent = world.of("payment_intent").get(id)
    confirm_by(world, call, intent, call.params)
    return intent


def confirm_by(world, call, intent, params):
    if intent["status"] not in ("requires_payment_method", "requires_confirmation"):
        raise StripeError(400, "You cannot confirm this PaymentIntent because it has a status of "
                          "%s." % intent["status"], code="payment_intent_unexpected_state",
                          extra={"payment_intent": {"id": intent["id"], "object": "payment_intent",
                                                    "status": intent["status"]}})
    id = params.get("payment_method") or intent["payment_method"]
    if not id:
        raise StripeError(400, "You cannot confirm this PaymentIntent because it's missing a "
                          "payment method.", code="payment_intent_unexpected_state")
    method = methods.resolve(world, id)
    outcome = try_to_pay(world, call, intent, method, off_session=p.boolean(params, "off_session"))
    if outcome not in ("ok", "authenticate"):
        raise cards.card_error(outcome, error_details(world, intent))


def cancel(world, call, id):
    intent = world.of("payment_intent").get(id)
    if intent["status"] in ("succeeded", "canceled"):
        raise StripeError(400, "You cannot cancel this PaymentIntent because it has a status of "
                          "%s." % intent["status"], code="payment_intent_unexpected_state")
    cancel_intent(world, call, intent)
    return intent


def cancel_intent(world, call, intent, reason=None):
    with world.events.update("payment_intent.canceled", intent, call):
        intent["status"], intent["canceled_at"] = "canceled", world.clock.now_s()
        intent["cancellation_reason"] = reason


def outcome_of(method, authenticated=False):
    """"ok", "authenticate" or a decline code: how a charge of this card ends now."""
    charge = methods.card_of(method).charge
    if charge == "authenticate_once":
        charge = "ok" if method["_set_up"] else "authenticate"
    return "ok" if charge == "authenticate" and (authenticated or method["_holder_is_here"]) else charge


def try_to_pay(world, call, intent, method, off_session=False, authenticated=False):
    """Charge it -> "ok", "authenticate" or a decline code; the intent and its events tell it."""
    outcome = outcome_of(method, authenticated)
    intent["payment_method"] = method["id"]
    if outcome == "ok":
        if authenticated:
            method["_set_up"] = True
        charge = add_charge(world, intent, method, None)
        intent.update(status="succeeded", amount_received=intent["amount"], next_action=None,
                      last_payment_error=None, latest_charge=charge["id"])
        world.events.record("charge.succeeded", charge, call)
        world.events.record("payment_intent.succeeded", intent, call)
    elif outcome == "authenticate" and not off_session:
        intent.update(status="requires_action", next_action={
            "type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}})
        world.events.record("payment_intent.requires_action", intent, call)
    else:
        charge = add_charge(world, intent, method, outcome)
        intent.update(status="requires_payment_method", next_action=None,
                      latest_charge=charge["id"], payment_method=None,
                      last_payment_error=last_error(outcome, charge["id"], method))
        world.events.record("charge.failed", charge, call)
        world.events.record("payment_intent.payment_failed", intent, call)
    return outcome


def last_error(outcome, charge_id, method):
    code, decline_code, message = cards.refusal(outcome)
    return {"charge": charge_id, "code": code, "decline_code": decline_code, "message": message,
            "doc_url": "https://stripe.com/docs/error-codes/" + code.replace("_", "-"),
            "payment_method": {k: v for k, v in method.items() if k[0] != "_"},
            "type": "card_error"}


def error_details(world, intent):
    shown = {k: v for k, v in intent.items() if k[0] != "_"}
    return {"payment_intent": shown, "charge": intent["latest_charge"]}


def add_charge(world, intent, method, refused):
    code, decline_code, message = cards.refusal(refused) if refused else (None, None, None)
    card = {k: method["card"][k] for k in ("brand", "checks", "country", "exp_month", "exp_year",
                                           "fingerprint", "funding", "last4", "regulated_status", "wallet")}
    card.update(amount_authorized=None if refused else intent["amount"], authorization_code=None,
                electronic_commerce_indicator=None, installments=None, mandate=None, network=card["brand"],
                network_transaction_id=None, three_d_secure=None, transaction_link_id=None)
    id = world.ids.new("ch", 24)
    return world.of("charge").add({
        "id": id, "object": "charge", "amount": intent["amount"],
        "amount_captured": 0 if refused else intent["amount"], "amount_refunded": 0,
        "application": None, "application_fee": None, "application_fee_amount": None,
        "balance_transaction": None if refused else world.ids.new("txn", 24),
        "billing_details": method["billing_details"], "calculated_statement_descriptor": "SANDBOX",
        "captured": not refused, "created": world.clock.now_s(), "currency": intent["currency"],
        "customer": intent["customer"], "description": intent["description"], "disputed": False,
        "failure_balance_transaction": None, "failure_code": code, "failure_message": message,
        "fraud_details": {}, "livemode": False, "metadata": dict(intent["metadata"]),
        "on_behalf_of": None, "outcome": {
            "advice_code": None, "network_status":
                "declined_by_network" if refused else "approved_by_network",
            "network_advice_code": None, "network_decline_code": None,
            "reason": decline_code if refused else None, "risk_level": "normal",
            "seller_message": "The bank did not return any further details with this decline."
            if refused else "Payment complete.",
            "type": "issuer_declined" if refused else "authorized"},
        "paid": not refused, "payment_intent": intent["id"], "payment_method": method["id"],
        "payment_method_details": {"card": card, "type": "card"}, "receipt_email": None,
        "receipt_number": None, "receipt_url": None, "refunded": False, "review": None,
        "shipping": None, "source": None, "source_transfer": None, "statement_descriptor": None,
        "statement_descriptor_suffix": None, "status": "failed" if refused else "succeeded",
        "transfer_data": None, "transfer_group": None, "_invoice": intent["_invoice"]})


def retrieve_charge(world, call, id):
    return world.of("charge").get(id)


def list_charges(world, call):
    wanted = {name: call.params[name] for name in ("customer", "payment_intent")
              if name in call.params}
    return world.of("charge").page(call.params, "/v1/charges", lambda charge: all(
        charge[name] == value for name, value in wanted.items()))
