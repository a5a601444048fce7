"""The plain fields of a subscription."""
from .. import params as p
from ..billing import taxes
from ..errors import StripeError, missing_param
from ..payments import methods
from . import times

KEPT = ("description", "default_source")


def blank(world, call, customer, params, start):
    now, id = world.clock.now_s(), world.ids.new("sub", 24)
    return {
        "id": id, "object": "subscription", "application": None, "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": start, "billing_cycle_anchor_config": anchor_config(params),
        "billing_mode": read_mode(call, params), "billing_schedules": [], "billing_thresholds": None,
        "cancel_at": None, "cancel_at_period_end": False, "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "feedback_option": None,
                                 "reason": None},
        "collection_method": p.one_of(params, "collection_method",
                                      ("charge_automatically", "send_invoice"), "charge_automatically"),
        "created": now, "currency": None, "customer": customer["id"], "customer_account": None,
        "days_until_due": None, "default_payment_method": None, "default_source": None,
        "default_tax_rates": [], "description": None, "discounts": [], "ended_at": None,
        "invoice_settings": {"account_tax_ids": None, "custom_fields": None, "description": None, "footer": None,
                             "issuer": {"type": "self"}},
        "items": {"object": "list", "data": [], "has_more": False,
                  "url": "/v1/subscription_items?subscription=" + id},
        "latest_invoice": None, "livemode": False, "managed_payments": None, "metadata": p.metadata(params),
        "next_pending_invoice_item_invoice": None, "on_behalf_of": None, "pause_collection": None,
        "payment_settings": {"payment_method_options": None, "payment_method_types": None,
                             "save_default_payment_method": "off"},
        "pending_invoice_item_interval": None, "pending_setup_intent": None, "pending_update": None,
        "schedule": None, "start_date": start, "status": "active", "status_details": None,
        "test_clock": None, "transfer_data": None, "trial_start": None, "trial_end": None,
        "trial_settings": {"end_behavior": {"billing_cycle_anchor": None, "missing_payment_method": "create_invoice"}},
        "_warned": False, "_announced": None, "_begun": start, "_pending": None}


def anchor_config(params):
    config = p.group(params, "billing_cycle_anchor_config")
    names = ("day_of_month", "hour", "minute", "month", "second")
    return {name: p.integer(config, name) for name in names} if config else None


def read_mode(call, params):
    """Flexible by itself since clover; what it was made with it keeps."""
    from ..versions import CURRENT
    given = p.group(params, "billing_mode")
    version = (call.version if call else None) or CURRENT
    kind = given.get("type") or ("flexible" if version[:10] >= "2025-09-30" else "classic")
    if kind == "classic":
        return {"type": "classic"}
    shows = p.group(given, "flexible").get("proration_discounts") or "included"
    return {"type": "flexible", "flexible": {"proration_discounts": shows}}


def change(world, sub, params):
    """What creating and updating have in common."""
    p.copy_texts(sub, params, KEPT)
    sub["metadata"] = p.metadata(params, sub["metadata"])
    customer = world.of("customer").get(sub["customer"])
    if params.get("default_payment_method"):
        sub["default_payment_method"] = methods.attached(
            world, customer, params["default_payment_method"], "default_payment_method")
    elif "default_payment_method" in params:
        sub["default_payment_method"] = None
    if "default_tax_rates" in params:
        sub["default_tax_rates"] = taxes.read_rates(world, params, "default_tax_rates")
    if "days_until_due" in params:
        sub["days_until_due"] = p.integer(params, "days_until_due")
    if params.get("collection_method"):
        sub["collection_method"] = params["collection_method"]
    if sub["collection_method"] == "send_invoice" and sub["days_until_due"] is None:
        raise missing_param("days_until_due")
    trial_behavior = p.group(p.group(params, "trial_settings"), "end_behavior")
    if trial_behavior:
        sub["trial_settings"]["end_behavior"].update(trial_behavior)
    saves = p.group(params, "payment_settings").get("save_default_payment_method")
    if saves:
        sub["payment_settings"]["save_default_payment_method"] = saves
    details = p.group(params, "cancellation_details")
    for name in ("comment", "feedback"):
        if name in details:
            sub["cancellation_details"][name] = details[name] or None
    change_pause(sub, params)
    change_cancel(world, sub, params)


def change_pause(sub, params):
    if "pause_collection" in params:
        pause = p.group(params, "pause_collection")
        sub["pause_collection"] = {"behavior": pause.get("behavior"), "resumes_at":
                                   p.integer(pause, "resumes_at")} if pause else None


def change_cancel(world, sub, params):
    now = world.clock.now_s()
    at_end = p.boolean(params, "cancel_at_period_end", sub["cancel_at_period_end"])
    if at_end and params.get("cancel_at"):
        raise StripeError(400, "You may only specify one of these parameters: cancel_at, "
                          "cancel_at_period_end.", param="cancel_at")
    if at_end != sub["cancel_at_period_end"]:
        sub["cancel_at_period_end"] = at_end
        sub["cancel_at"] = times.period_end(sub) if at_end else None
        sub["canceled_at"] = now if at_end else None
    if "cancel_at" in params:
        sub["cancel_at_period_end"] = False
        sub["cancel_at"] = read_cancel_at(sub, params, now)
        sub["canceled_at"] = now if sub["cancel_at"] else None
    sub["cancellation_details"]["reason"] = "cancellation_requested" if sub["canceled_at"] else None


def read_cancel_at(sub, params, now):
    ends = [item["current_period_end"] for item in sub["items"]["data"]]
    if params["cancel_at"] in ("min_period_end", "max_period_end", "max_billed_until"):
        return min(ends) if params["cancel_at"] == "min_period_end" else max(ends)
    at = p.integer(params, "cancel_at")
    if at is not None and at <= now:
        raise StripeError(400, "cancel_at must be in the future.", param="cancel_at")
    return at
