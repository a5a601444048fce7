"""How objects look in the version that is asked for; they are kept in the newest shape."""
CLOVER = "2025-09-30"           # discounts name their source
FLEXIBLE = "2025-06-30"         # billing_mode
SCHEDULES = "2026-05-01"        # billing_schedules, billed_until
ENDIVE = "2026-09-30"           # status_details
BASIL = "2025-03-31"


def plan_of(price):
    recurring = price.get("recurring") or {}
    return {"id": price["id"], "object": "plan", "active": price["active"], "amount": price["unit_amount"],
            "amount_decimal": price["unit_amount_decimal"], "billing_scheme": price["billing_scheme"],
            "created": price["created"], "currency": price["currency"], "interval": recurring.get("interval"),
            "interval_count": recurring.get("interval_count"), "livemode": False, "metadata": dict(price["metadata"]),
            "meter": recurring.get("meter"), "nickname": price["nickname"], "product": price["product"],
            "tiers_mode": price["tiers_mode"], "transform_usage": price["transform_quantity"],
            "trial_period_days": None, "usage_type": recurring.get("usage_type")}


def price(copy, obj, day, public):
    if copy.get("recurring") and day >= BASIL:
        copy["recurring"].pop("aggregate_usage", None)


def subscription(copy, obj, day, public):
    if day < BASIL:
        items = obj.get("items", {}).get("data") or [{}]
        for edge in ("current_period_start", "current_period_end"):
            copy[edge] = items[0].get(edge)
        for name in ("customer_account", "billing_mode", "billing_schedules", "status_details"):
            copy.pop(name, None)
        return
    if day < FLEXIBLE:
        copy.pop("billing_mode", None)
    if day < SCHEDULES:
        copy.pop("billing_schedules", None)
    if day < ENDIVE:
        copy.pop("status_details", None)


def subscription_item(copy, obj, day, public):
    if "id" in obj and isinstance(obj.get("price"), dict) and "billing_scheme" in obj["price"]:
        copy["plan"] = plan_of(obj["price"])
    if day < BASIL:
        for name in ("current_period_start", "current_period_end"):
            copy.pop(name, None)
    if day < SCHEDULES:
        copy.pop("billed_until", None)


def old_taxes(taxes):
    return [{"amount": tax["amount"], "inclusive": tax["tax_behavior"] == "inclusive",
             "tax_rate": tax["tax_rate_details"]["tax_rate"], "taxability_reason": None,
             "taxable_amount": tax["taxable_amount"]} for tax in taxes or ()]


def invoice(copy, obj, day, public):
    if day >= BASIL:
        return
    parent = copy.pop("parent", None) or {}
    details = parent.get("subscription_details") or {}
    if parent or "subscription" not in copy:
        copy["subscription"] = details.get("subscription")
    copy["subscription_details"] = {"metadata": details.get("metadata")}
    taxes = copy.pop("total_taxes", None)
    intent = obj.get("_payment_intent")
    copy.update(
        charge=obj.get("_charge"), discount=None, paid=obj.get("status") == "paid",
        paid_out_of_band=obj.get("_paid_out_of_band", False), payment_intent=intent, quote=None,
        tax=sum(tax["amount"] for tax in taxes) if taxes else None, total_tax_amounts=old_taxes(taxes))
    for name in ("amount_overpaid", "customer_account", "total_pretax_credit_amounts"):
        copy.pop(name, None)


def line_item(copy, obj, day, public):
    if day >= BASIL:
        return
    parent = copy.pop("parent", None) or {}
    details = parent.get("subscription_item_details") or parent.get("invoice_item_details") or {}
    taxes, net = copy.pop("taxes", []), sum(d["amount"] for d in copy.get("discount_amounts", ()))
    copy.pop("pricing", None)
    price_of = obj.get("_price")
    waited = details.get("invoice_item")
    copy.update(
        amount_excluding_tax=copy.get("amount", 0) - net - sum(
            tax["amount"] for tax in taxes if tax["tax_behavior"] == "inclusive"),
        price=price_of and public(price_of), plan=plan_of(price_of) if price_of and price_of["recurring"] else None,
        proration=details.get("proration", False), proration_details={"credited_items": None},
        subscription_item=details.get("subscription_item"), tax_amounts=old_taxes(taxes),
        tax_rates=[public(rate) for rate in obj.get("_rates", ())],
        type="invoiceitem" if waited or parent.get("type") == "invoice_item_details" else "subscription",
        unit_amount_excluding_tax=None)
    if waited:
        copy["invoice_item"] = waited
    for name in ("quantity_decimal", "subtotal", "pretax_credit_amounts"):
        copy.pop(name, None)


def invoiceitem(copy, obj, day, public):
    if day >= BASIL:
        return
    copy.pop("parent", None)
    copy.pop("pricing", None)
    price_of, unit = obj.get("_price"), obj.get("_unit")
    copy.update(price=price_of and public(price_of),
                plan=plan_of(price_of) if price_of and price_of["recurring"] else None,
                subscription=obj.get("_subscription"), subscription_item=obj.get("_item"),
                unit_amount=int(unit) if unit and unit.lstrip("-").isdigit() else None, unit_amount_decimal=unit)
    for name in ("net_amount", "quantity_decimal", "proration_details", "customer_account"):
        copy.pop(name, None)


def paid_for(copy, obj, day, public):
    """Charges and payment intents named their invoice up to acacia."""
    if day < BASIL:
        copy["invoice"] = obj.get("_invoice")


def discount(copy, obj, day, public):
    if day < CLOVER and "_coupon" in obj:
        copy.pop("source", None)
        copy["coupon"] = public(obj["_coupon"])


SHAPERS = {"price": price, "subscription": subscription, "subscription_item": subscription_item,
           "invoice": invoice, "line_item": line_item, "invoiceitem": invoiceitem, "charge": paid_for,
           "payment_intent": paid_for, "discount": discount}
