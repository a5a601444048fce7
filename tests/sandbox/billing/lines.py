"""Lines of invoices, in the newest shape; what only the computation needs begins with an underscore."""
from . import amounts, money, usage


def is_metered(item):
    return item["price"]["recurring"]["usage_type"] == "metered"


def title_of(world, price):
    product = world.of("product").find(price["product"])
    return product["name"] if product else price["product"]


def line(world, amount, currency, description, period, quantity=1, price=None, unit=None, **fields):
    """fields: discountable, discounts, metadata, parent, subscription, rates, item."""
    start, end = period
    return {
        "id": world.ids.new("il", 24), "object": "line_item", "amount": amount, "currency": currency,
        "description": description, "discount_amounts": [],
        "discountable": fields.get("discountable", True), "discounts": list(fields.get("discounts", ())),
        "invoice": None, "livemode": False, "metadata": dict(fields.get("metadata") or {}),
        "parent": fields.get("parent"), "period": {"start": start, "end": end},
        "pretax_credit_amounts": [],
        "pricing": price and {"type": "price_details", "unit_amount_decimal": unit, "price_details": {
            "price": price["id"], "product": price["product"]}},
        "quantity": quantity, "quantity_decimal": None if quantity is None else str(quantity),
        "subscription": fields.get("subscription"), "subtotal": amount, "taxes": [],
        "_price": price, "_rates": list(fields.get("rates", ())), "_item": fields.get("item")}


def parent_of_item(sub, item, proration=False):
    return {"type": "subscription_item_details", "invoice_item_details": None,
            "subscription_item_details": {
                "invoice_item": None, "proration": proration,
                "proration_details": {"credited_items": None} if proration else None,
                "subscription": sub["id"], "subscription_item": item["id"]}}


def of_item(world, sub, item, quantity, period, trial=False):
    """A line for each part that the quantity has at the item's price."""
    price, title = item["price"], title_of(world, item["price"])
    found = []
    for part in amounts.parts(price, quantity):
        tier = " (Tier %d)" % part.tier if part.tier else ""
        text = "Trial period for %s" % title if trial else "%d × %s%s" % (part.quantity, title, tier)
        found.append(line(
            world, 0 if trial else money.rounded(part.amount, price["currency"]), price["currency"],
            text, period, part.quantity, price, "0" if trial else part.unit,
            parent=parent_of_item(sub, item), subscription=sub["id"], rates=item["tax_rates"],
            metadata=item["metadata"], item=item["id"]))
    return found


def ahead(world, sub, item, period, trial=False):
    """The fee of a period that begins."""
    return of_item(world, sub, item, item["quantity"], period, trial)


def behind(world, sub, item, period):
    """What was used in a period that ends. Nothing used is a line of 0, but not in flexible mode."""
    quantity = usage.used(world, sub, item, *period)
    if quantity <= 0 and sub["billing_mode"]["type"] == "flexible":
        if not any(part.amount for part in amounts.parts(item["price"], 0)) or in_trial(sub, period):
            return []
    return of_item(world, sub, item, quantity, period, trial=in_trial(sub, period))


def in_trial(sub, period):
    return bool(sub["trial_end"]) and period[0] < sub["trial_end"]


def of_invoice_item(world, pending):
    """The line that an invoice item becomes."""
    made = line(world, pending["amount"], pending["currency"], pending["description"],
                (pending["period"]["start"], pending["period"]["end"]), pending["quantity"],
                pending["_price"], pending["_unit"], discountable=pending["discountable"],
                discounts=pending["discounts"], metadata=pending["metadata"],
                subscription=pending["_subscription"], rates=pending["tax_rates"],
                item=pending["_item"])
    details = {"invoice_item": pending["id"], "proration": pending["proration"],
               "proration_details": {"credited_items": None} if pending["proration"] else None,
               "subscription": pending["_subscription"]}
    if pending["_item"]:
        made["parent"] = {"type": "subscription_item_details", "invoice_item_details": None,
                          "subscription_item_details": {**details, "subscription_item": pending["_item"]}}
    else:
        made["parent"] = {"type": "invoice_item_details", "invoice_item_details": details,
                          "subscription_item_details": None}
    return made
