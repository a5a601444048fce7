"""What Stripe's own page of a Checkout session calls; stripe trigger completes sessions by it."""
from .. import params as p
from ..errors import StripeError, missing_param
from ..payments import cards, methods
from . import checkout


def shown(session):
    return {"id": session["id"], "object": "checkout.session", "session_id": session["id"], "mode": session["mode"],
            "status": session["status"], "currency": session["currency"], "livemode": False,
            "total_summary": {"due": session["amount_total"], "subtotal": session["amount_subtotal"],
                              "total": session["amount_total"]},
            "line_item_group": {"due": session["amount_total"], "total": session["amount_total"]}}


def retrieve(world, call, id):
    return shown(world.of("checkout.session").get(id))


def confirm(world, call, id):
    session = world.of("checkout.session").get(id)
    if session["status"] != "open":
        raise StripeError(400, "This Checkout Session is %s." % session["status"])
    if not call.params.get("payment_method"):
        raise missing_param("payment_method")
    expected = p.integer(call.params, "expected_amount")
    if expected is not None and expected != (session["amount_total"] or 0):
        raise StripeError(400, "The amount has changed.", param="expected_amount",
                          code="checkout_amount_mismatch")
    outcome = checkout.complete(world, session, methods.resolve(world, call.params["payment_method"]))
    if outcome != "ok":
        raise cards.card_error(outcome)
    return shown(session)
