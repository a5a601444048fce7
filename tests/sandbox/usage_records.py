"""Usage records, which end with 2025-03-31.basil: increment or set one timestamp's quantity."""
from . import params as p
from . import periods, versions
from .errors import StripeError, unknown_url
from .store import page


def legacy_only(call):
    if not versions.is_legacy(call.version):
        raise unknown_url(call.method, call.path)


def create(world, call, id):
    legacy_only(call)
    params = call.params
    p.check(params, {"quantity", "timestamp", "action"}, required=("quantity",))
    item = world.of("subscription_item").get(id)
    quantity = p.integer(params, "quantity")
    if quantity < 0:
        raise StripeError(400, "Invalid quantity: must be at least 0.", param="quantity")
    action = p.one_of(params, "action", ("increment", "set"), "increment")
    now = world.clock.now_s()
    timestamp = now if params.get("timestamp") == "now" else p.integer(params, "timestamp", now)
    check(world, item, timestamp, now)
    records = world.usage_records.setdefault(id, {})
    records[timestamp] = quantity + (records.get(timestamp, 0) if action == "increment" else 0)
    return {"id": world.ids.new("mbur"), "object": "usage_record", "livemode": False,
            "quantity": quantity, "subscription_item": id, "timestamp": timestamp}


def check(world, item, timestamp, now):
    recurring = item["price"]["recurring"]
    if recurring["meter"]:
        raise StripeError(400, "Cannot create a usage record for `%s` because it is not on the "
                          "legacy metered billing system. Call /v1/billing/meter_events instead."
                          % item["id"])
    if recurring["usage_type"] != "metered":
        raise StripeError(400, "Usage records can only be created for metered plans.")
    sub = world.of("subscription").get(item["subscription"])
    if sub["status"] == "canceled":
        raise StripeError(400, "Cannot create the usage record because the subscription has been "
                          "canceled.")
    if timestamp < item["current_period_start"]:
        raise StripeError(400, "Cannot create the usage record with this timestamp because "
                          "timestamps must be after the subscription's last invoice period (or "
                          "current period start time).", param="timestamp")
    if timestamp > now:
        raise StripeError(400, "Cannot create the usage record with this timestamp because "
                          "timestamps must not be in the future.", param="timestamp")


def total(records, formula):
    """By the price's aggregate_usage; records: {timestamp: quantity}."""
    if formula in ("last_during_period", "last_ever"):
        return records[max(records)] if records else 0
    return max(records.values(), default=0) if formula == "max" else sum(records.values())


def summaries(world, call, id):
    legacy_only(call)
    item = world.of("subscription_item").get(id)
    recurring = item["price"]["recurring"]
    anchor = world.of("subscription").get(item["subscription"])["billing_cycle_anchor"]
    by_period = {(item["current_period_start"], item["current_period_end"]): {}}
    for timestamp, quantity in world.usage_records.get(id, {}).items():
        period = (item["current_period_start"], item["current_period_end"])
        if timestamp < period[0]:
            period = periods.around(anchor, recurring["interval"], recurring["interval_count"],
                                    timestamp, 0)
        by_period.setdefault(period, {})[timestamp] = quantity
    found = [{"id": "sis_%s_%d" % (id, start), "object": "usage_record_summary", "invoice": None,
              "livemode": False, "period": {"start": start, "end": end}, "subscription_item": id,
              "total_usage": total(records, recurring["aggregate_usage"])}
             for (start, end), records in sorted(by_period.items())]
    return page(found, call.params, call.path, "usage_record_summary")
