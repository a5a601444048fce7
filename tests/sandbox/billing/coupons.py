"""Coupons: a percentage or an amount off, once, for some months, or for ever."""
from fractions import Fraction

from .. import params as p
from ..errors import StripeError


def create(world, call):
    params = call.params
    percent, amount = params.get("percent_off"), p.integer(params, "amount_off")
    if (percent is None) == (amount is None):
        raise StripeError(400, "You must pass exactly one of percent_off, amount_off.", param="percent_off")
    if percent is not None and not 0 < Fraction(percent) <= 100:
        raise StripeError(400, "Invalid decimal: %s" % percent, param="percent_off")
    if amount is not None and (amount < 1 or not params.get("currency")):
        raise StripeError(400, "You must pass currency when passing amount_off.", param="currency",
                          code="parameter_missing")
    duration = p.one_of(params, "duration", ("forever", "once", "repeating"), "once")
    months = p.integer(params, "duration_in_months")
    if (duration == "repeating") != (months is not None):
        raise StripeError(400, "You must pass duration_in_months with duration=repeating, and only then.",
                          param="duration_in_months")
    id = params.get("id") or world.ids.new("x", 8)[2:]
    if world.of("coupon").find(id):
        raise StripeError(400, "Coupon already exists.", code="resource_already_exists", param="id")
    coupon = world.of("coupon").add({
        "id": id, "object": "coupon", "amount_off": amount,
        "created": world.clock.now_s(), "currency": (params.get("currency") or "").lower() or None,
        "duration": duration, "duration_in_months": months, "livemode": False,
        "max_redemptions": p.integer(params, "max_redemptions"), "metadata": p.metadata(params),
        "name": p.text(params, "name", most=40),
        "percent_off": None if percent is None else number(percent),
        "redeem_by": p.integer(params, "redeem_by"), "times_redeemed": 0, "valid": True,
        "_percent": None if percent is None else Fraction(percent),
        "_products": p.listed(p.group(params, "applies_to"), "products")})
    world.events.record("coupon.created", coupon, call)
    return coupon


def number(text):
    value = Fraction(text)
    return int(value) if value.denominator == 1 else float(text)


def retrieve(world, call, id):
    return world.of("coupon").get(id)


def update(world, call, id):
    coupon = world.of("coupon").get(id)
    with world.events.update("coupon.updated", coupon, call):
        coupon["metadata"] = p.metadata(call.params, coupon["metadata"])
        p.copy_texts(coupon, call.params, ("name",))
    return coupon


def delete(world, call, id):
    """Who has it already keeps it."""
    coupon = world.of("coupon").get(id)
    world.of("coupon").remove(id)
    world.coupons_kept[id] = coupon
    world.events.record("coupon.deleted", coupon, call)
    return {"id": id, "object": "coupon", "deleted": True}


def list_all(world, call):
    return world.of("coupon").page(call.params, "/v1/coupons")


def redeemable(world, id, currency, param):
    """The coupon, if it may be taken now."""
    coupon = world.of("coupon").find(id)
    if coupon is None:
        raise StripeError(400, "No such coupon: '%s'" % id, code="resource_missing", param=param)
    if coupon["redeem_by"] and coupon["redeem_by"] < world.clock.now_s():
        raise StripeError(400, "Coupon expired: %s" % id, code="coupon_expired", param=param)
    if coupon["max_redemptions"] and coupon["times_redeemed"] >= coupon["max_redemptions"]:
        raise StripeError(400, "This coupon has been used up: %s" % id, code="coupon_expired", param=param)
    if coupon["currency"] and currency and coupon["currency"] != currency:
        raise StripeError(400, "The currency of the coupon, %s, is not that of the subscription, %s."
                          % (coupon["currency"], currency), param=param)
    return coupon
