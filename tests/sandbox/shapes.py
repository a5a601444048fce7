"""How objects look in the version that is asked for; they are kept in the newest shape."""
CLOVER = "2025-09-30"           # discounts name their source
FLEXIBLE = "2025-06-30"         # billing_mode
SCHEDULES = "2026-05-01"        # billing_schedules, billed_until
ENDIVE = "2026-09-30"           # status_details
BASIL = "2025-03-31"


# Left out where there is nothing, by kind.
OMITTED = {"subscription_item": ("billed_until",), "price": ("tiers",), "invoiceitem": ("proration_details",),
           "refund": ("description",), "subscription": ("status_details",)}
# What versions up to acacia did not know, by kind; a dot leads below, through lists as well.
NEWER = {
    "customer": ("customer_account",),
    "product": ("tax_details",),
    "tax_rate": ("flat_amount", "rate_type"),
    "payment_method": ("billing_details.tax_id", "card.regulated_status", "customer_account"),
    "payment_intent": ("allowed_payment_method_types", "customer_account", "excluded_payment_method_types",
                       "managed_payments", "payment_record"),
    "charge": ("billing_details.tax_id", "outcome.advice_code", "outcome.network_advice_code",
               "outcome.network_decline_code", "payment_method_details.card.regulated_status",
               "payment_method_details.card.network_transaction_id",
               "payment_method_details.card.electronic_commerce_indicator",
               "payment_method_details.card.transaction_link_id"),
    "refund": ("customer", "customer_account", "payment_method"),
    "setup_intent": ("allowed_payment_method_types", "customer_account", "excluded_payment_method_types"),
    "discount": ("customer_account",),
    "subscription": ("automatic_tax.disabled_reason", "billing_mode", "billing_schedules",
                     "cancellation_details.feedback_option", "customer_account", "invoice_settings.custom_fields",
                     "invoice_settings.description", "invoice_settings.footer", "managed_payments",
                     "status_details", "trial_settings.end_behavior.billing_cycle_anchor"),
    "subscription_item": ("billed_until", "current_period_end", "current_period_start", "current_trial"),
    "invoice": ("amount_overpaid", "automatic_tax.disabled_reason", "automatic_tax.provider", "customer_account",
                "total_pretax_credit_amounts"),
    "line_item": ("pretax_credit_amounts", "quantity_decimal", "subtotal"),
    "invoiceitem": ("customer_account", "net_amount", "proration_details", "quantity_decimal"),
    "subscription_schedule": (
        "billing_mode", "customer_account", "default_settings.automatic_tax.disabled_reason",
        "default_settings.invoice_settings.custom_fields", "default_settings.invoice_settings.description",
        "default_settings.invoice_settings.footer", "pause_schedules"),
    "checkout.session": (
        "adaptive_pricing", "allowed_payment_method_types", "automatic_tax.provider", "collected_information",
        "customer_account", "discounts", "integration_identifier", "managed_payments", "origin_context",
        "permissions", "wallet_options"),
    "billing_portal.session": ("customer_account",),
    "billing_portal.configuration": (
        "features.payment_method_update.payment_method_configuration", "features.subscription_pause",
        "features.subscription_cancel.cancellation_reason.feedback_options",
        "features.subscription_update.billing_cycle_anchor",
        "features.subscription_update.schedule_at_period_end",
        "features.subscription_update.trial_update_behavior", "name"),
}
NEWER = {kind: [path.split(".") for path in paths] for kind, paths in NEWER.items()}
UI_MODES = {"hosted_page": "hosted", "embedded_page": "embedded", "elements": "custom"}     # since dahlia
DAHLIA = "2026-03-25"


def drop(node, steps):
    if isinstance(node, list):
        for each in node:
            drop(each, steps)
    elif isinstance(node, dict):
        if len(steps) == 1:
            node.pop(steps[0], None)
        elif steps[0] in node:
            drop(node[steps[0]], steps[1:])


def shape(kind, copy, obj, day, public):
    """Make the copy what this day's version shows."""
    for name in OMITTED.get(kind, ()):
        if copy.get(name, "") is None:
            del copy[name]
    shaper = SHAPERS.get(kind)
    if shaper is not None:
        shaper(copy, obj, day, public)
    if day < BASIL:
        for steps in NEWER.get(kind, ()):
            drop(copy, steps)


def plan_of(price):
    recurring = price.get("recurring") or {}
    return {"id": price["id"], "object": "plan", "active": price["active"], "amount": price["unit_amount"],
            "amount_decimal": price["unit_amount_decimal"], "billing_scheme": price["billing_scheme"],
            "created": price["created"], "currency": price["currency"], "interval": recurring.get("interval"),
            "interval_count": recurring.get("interval_count"), "livemode": False, "metadata": dict(price["metadata"]),
            "meter": recurring.get("meter"), "nickname": price["nickname"], "product": price["product"],
            "tiers_mode": price["tiers_mode"], "transform_usage": price["transform_quantity"],
            "trial_period_days": None, "usage_type": recurring.get("usage_type")}


def old_plan_of(price):
    return {**plan_of(price), "aggregate_usage": (price.get("recurring") or {}).get("aggregate_usage")}


def price(copy, obj, day, public):
    if copy.get("recurring") and day >= BASIL:
        copy["recurring"].pop("aggregate_usage", None)


def subscription(copy, obj, day, public):
    if day < BASIL:
        items = obj.get("items", {}).get("data") or [{}]
        for edge in ("current_period_start", "current_period_end"):
            copy[edge] = items[0].get(edge)
        if "id" in obj:
            copy["discount"] = None
        return
    if day < FLEXIBLE:
        copy.pop("billing_mode", None)
    if day < SCHEDULES:
        copy.pop("billing_schedules", None)
    if day < ENDIVE:
        copy.pop("status_details", None)


def subscription_item(copy, obj, day, public):
    if "id" in obj and isinstance(obj.get("price"), dict) and "billing_scheme" in obj["price"]:
        copy["plan"] = (plan_of if day >= BASIL else old_plan_of)(obj["price"])
        copy["billed_until"] = obj["current_period_start" if obj["price"]["recurring"]["usage_type"] == "metered"
                                   else "current_period_end"]
    if day < SCHEDULES:
        copy.pop("billed_until", None)


def old_taxes(taxes):
    return [{"amount": tax["amount"], "inclusive": tax["tax_behavior"] == "inclusive",
             "tax_rate": tax["tax_rate_details"]["tax_rate"], "taxability_reason": None,
             "taxable_amount": tax["taxable_amount"]} for tax in taxes or ()]


def invoice(copy, obj, day, public):
    if day >= BASIL:
        return
    if str(copy.get("id", "")).startswith("upcoming_"):
        del copy["id"]
    parent = copy.pop("parent", None) or {}
    details = parent.get("subscription_details") or {}
    if parent or "subscription" not in copy:
        copy["subscription"] = details.get("subscription")
    copy["subscription_details"] = {"metadata": details.get("metadata")}
    taxes = copy.pop("total_taxes", None)
    intent = obj.get("_payment_intent")
    copy.update(
        application_fee_amount=None, transfer_data=None, charge=obj.get("_charge"), discount=None,
        paid=obj.get("status") == "paid",
        paid_out_of_band=obj.get("_paid_out_of_band", False), payment_intent=intent, quote=None,
        tax=sum(tax["amount"] for tax in taxes) if taxes else None, total_tax_amounts=old_taxes(taxes))


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
        price=price_of and public(price_of), plan=old_plan_of(price_of) if price_of and price_of["recurring"] else None,
        proration=details.get("proration", False), proration_details={"credited_items": None},
        **({"subscription_item": details["subscription_item"]} if details.get("subscription_item") else {}),
        tax_amounts=old_taxes(taxes),
        tax_rates=[public(rate) for rate in obj.get("_rates", ())],
        type="invoiceitem" if waited or parent.get("type") == "invoice_item_details" else "subscription",
        unit_amount_excluding_tax=None)
    if waited:
        copy["invoice_item"] = waited


def invoiceitem(copy, obj, day, public):
    if day >= BASIL:
        return
    copy.pop("parent", None)
    copy.pop("pricing", None)
    price_of, unit = obj.get("_price"), obj.get("_unit")
    copy.update(price=price_of and public(price_of),
                plan=old_plan_of(price_of) if price_of and price_of["recurring"] else None,
                subscription=obj.get("_subscription"),
                **({"subscription_item": obj["_item"]} if obj.get("_item") else {}),
                unit_amount=int(unit) if unit and unit.lstrip("-").isdigit() else None, unit_amount_decimal=unit)


def paid_for(copy, obj, day, public):
    """Charges and payment intents named their invoice up to acacia."""
    if day < BASIL:
        copy["invoice"] = obj.get("_invoice")


def discount(copy, obj, day, public):
    if day < CLOVER and "_coupon" in obj:
        copy.pop("source", None)
        copy["coupon"] = public(obj["_coupon"])


def session(copy, obj, day, public):
    if day < DAHLIA:
        copy["ui_mode"] = UI_MODES.get(copy.get("ui_mode"), copy.get("ui_mode"))
    if day < BASIL:
        copy["shipping_details"] = None


def schedule(copy, obj, day, public):
    for phase in copy.get("phases", ()) if day < BASIL else ():
        phase["coupon"] = None


SHAPERS = {"checkout.session": session, "subscription_schedule": schedule,
           "price": price, "subscription": subscription, "subscription_item": subscription_item,
           "invoice": invoice, "line_item": line_item, "invoiceitem": invoiceitem, "charge": paid_for,
           "payment_intent": paid_for, "discount": discount}
