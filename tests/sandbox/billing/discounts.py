"""Discounts: coupons as somebody has them, and what they take off an invoice."""
from fractions import Fraction

from ..errors import StripeError
from ..periods import edge
from . import coupons
from .money import rounded, spread


def add(world, coupon, customer=None, subscription=None, invoice=None):
    """Not yet anybody's redemption: see redeem."""
    now = world.clock.now_s()
    end = edge(now, "month", coupon["duration_in_months"], 1) if coupon["duration"] == "repeating" else None
    return {"id": world.ids.new("di", 24), "object": "discount", "checkout_session": None,
            "customer": customer, "customer_account": None, "end": end, "invoice": invoice,
            "invoice_item": None, "promotion_code": None,
            "source": {"coupon": coupon["id"], "type": "coupon"}, "start": now,
            "subscription": subscription, "subscription_item": None, "_coupon": coupon}


def redeem(world, call, discount):
    world.of("discount").add(discount)
    discount["_coupon"]["times_redeemed"] += 1
    world.events.record("customer.discount.created", discount, call)


def drop(world, call, discount):
    if world.of("discount").find(discount["id"]):
        world.of("discount").remove(discount["id"])
        world.events.record("customer.discount.deleted", discount, call)


def read(world, params, currency, customer, subscription, had=()):
    """The discounts that a request asks for: new ones by coupon, those that were there by their id.
    None: it says nothing of them."""
    given = params.get("discounts")
    if given is None and params.get("coupon"):          # up to acacia
        given = [{"coupon": params["coupon"]}]
    if given is None:
        return None
    found = []
    for i, each in enumerate(given or ()):
        name = "discounts[%d]" % i
        if each.get("discount"):
            found += [d for d in had if d["id"] == each["discount"]]
        elif each.get("coupon"):
            coupon = coupons.redeemable(world, each["coupon"], currency, name + "[coupon]")
            found.append(add(world, coupon, customer, subscription))
        else:
            raise StripeError(400, "You must pass coupon, discount or promotion_code; the sandbox has no "
                              "promotion codes.", param=name)
    return found


def running(discounts, at):
    return [d for d in discounts if d["end"] is None or at < d["end"]]


def applies(coupon, line):
    price = line["_price"]
    return not coupon["_products"] or (price is not None and price["product"] in coupon["_products"])


def apply(invoice, lines, discounts):
    """Fill the lines' discount_amounts, one coupon after the other; -> the sum."""
    for line in lines:
        line["discount_amounts"] = []
    invoice["total_discount_amounts"], total = [], 0
    for discount in discounts:
        coupon = discount["_coupon"]
        taken = [line for line in lines if line["discountable"] and applies(coupon, line)]
        left = [max(line["amount"] - sum(d["amount"] for d in line["discount_amounts"]), 0) for line in taken]
        if coupon["_percent"] is not None:
            amount = rounded(sum(left) * coupon["_percent"] / 100, invoice["currency"])
        else:
            amount = min(coupon["amount_off"], sum(left))
        for line, part in zip(taken, spread(amount, left)):
            line["discount_amounts"].append({"amount": part, "discount": discount["id"]})
        invoice["total_discount_amounts"].append({"amount": amount, "discount": discount["id"]})
        total += amount
    return total


def share_kept(discounts, line_price):
    """What a percentage leaves of a proration: it stands in the amount; an amount off does not."""
    kept = Fraction(1)
    for discount in discounts:
        coupon = discount["_coupon"]
        mine = not coupon["_products"] or line_price["product"] in coupon["_products"]
        if coupon["_percent"] is not None and coupon["duration"] != "once" and mine:
            kept *= 1 - coupon["_percent"] / 100
    return kept


def of_ids(world, ids):
    return [d for d in (world.of("discount").find(id) for id in ids) if d is not None]


def having(world, sub, at):
    """Those of the subscription; if it has none, the customer's."""
    own = of_ids(world, sub["discounts"])
    if not own:
        customer = world.of("customer").find(sub["customer"])
        own = [customer["discount"]] if customer and customer["discount"] else []
    return running(own, at)


def set_of_customer(world, call, customer, coupon_id):
    """The coupon of a customer, as versions up to acacia give it; empty: none any more."""
    old = customer["discount"]
    coupon = coupons.redeemable(world, coupon_id, customer["currency"], "coupon") if coupon_id else None
    customer["discount"] = add(world, coupon, customer["id"]) if coupon else None
    if coupon and old:
        world.of("discount").remove(old["id"])
        world.of("discount").add(customer["discount"])
        coupon["times_redeemed"] += 1
        world.events.record("customer.discount.updated", customer["discount"], call, {
            "coupon": {"id": old["_coupon"]["id"]}, "id": old["id"]})
    elif coupon:
        redeem(world, call, customer["discount"])
    elif old:
        drop(world, call, old)


def delete_of_customer(world, call, id):
    """DELETE /v1/customers/{id}/discount"""
    customer = world.of("customer").get(id)
    found = customer["discount"]
    if not found:
        raise StripeError(404, "No active discount for customer: %s" % id, code="resource_missing")
    with world.events.update("customer.updated", customer, call):
        set_of_customer(world, call, customer, None)
    return {**{k: v for k, v in found.items() if k[0] != "_"}, "deleted": True}


def delete_of_subscription(world, call, id):
    """DELETE /v1/subscriptions/{id}/discount"""
    sub = world.of("subscription").get(id)
    found = of_ids(world, sub["discounts"])
    if not found:
        raise StripeError(404, "No active discount for subscription: %s" % id, code="resource_missing")
    with world.events.update("customer.subscription.updated", sub, call):
        sub["discounts"] = []
    for discount in found:
        drop(world, call, discount)
    return {**{k: v for k, v in found[0].items() if k[0] != "_"}, "deleted": True}
