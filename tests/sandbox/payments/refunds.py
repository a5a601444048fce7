"""Refunds of charges, whole or in part."""
from .. import params as p
from ..errors import StripeError, missing_param


def create(world, call):
    params = call.params
    charge = charge_of(world, params)
    left = charge["amount_captured"] - charge["amount_refunded"]
    if left <= 0:
        raise StripeError(400, "Charge %s has already been refunded." % charge["id"],
                          code="charge_already_refunded")
    amount = p.integer(params, "amount", left)
    if not 1 <= amount <= left:
        raise StripeError(400, "Refund amount (%d) is greater than unrefunded amount on charge (%d)"
                          % (amount, left), param="amount")
    refund = world.of("refund").add({
        "id": world.ids.new("re", 24), "object": "refund", "amount": amount,
        "balance_transaction": world.ids.new("txn", 24), "charge": charge["id"],
        "created": world.clock.now_s(), "currency": charge["currency"], "customer": charge["customer"],
        "customer_account": None, "description": None,
        "destination_details": {"card": {"type": "refund"}, "type": "card"},
        "metadata": p.metadata(params), "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "reason": p.one_of(params, "reason", ("duplicate", "fraudulent", "requested_by_customer")),
        "receipt_number": None, "source_transfer_reversal": None, "status": "succeeded",
        "transfer_reversal": None})
    world.events.record("refund.created", refund, call)
    before = {"amount_refunded": charge["amount_refunded"], "refunded": charge["refunded"]}
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
    world.events.record("charge.refunded", charge, call, before)
    return refund


def charge_of(world, params):
    if params.get("charge"):
        return world.of("charge").get(params["charge"], "charge")
    if not params.get("payment_intent"):
        raise missing_param("charge")
    intent = world.of("payment_intent").get(params["payment_intent"], "payment_intent")
    if intent["status"] != "succeeded":
        raise StripeError(400, "This PaymentIntent (%s) does not have a successful charge to "
                          "refund." % intent["id"], param="payment_intent")
    return world.of("charge").get(intent["latest_charge"])


def retrieve(world, call, id):
    return world.of("refund").get(id)


def list_all(world, call):
    wanted = {name: call.params[name] for name in ("charge", "payment_intent")
              if name in call.params}
    return world.of("refund").page(call.params, "/v1/refunds", lambda refund: all(
        refund[name] == value for name, value in wanted.items()))
