"""Billing meters. An event name belongs to one meter for good; only the display name can change."""
from . import params as p
from .errors import StripeError

FIELDS = {"display_name", "event_name", "default_aggregation", "customer_mapping", "value_settings",
          "event_time_window"}
FORMULAS = ("count", "last", "sum")


def create(world, call):
    p.check(call.params, FIELDS, required=("display_name", "event_name", "default_aggregation"))
    return add(world, call, call.params)


def add(world, call, params):
    event_name = p.text(params, "event_name", most=100)
    if event_name in world.meters_by_event_name:
        raise StripeError(400, "A meter with the event name '%s' already exists. Event names must "
                          "be unique." % event_name, param="event_name")
    aggregation = p.group(params, "default_aggregation")
    formula = p.one_of(aggregation, "formula", FORMULAS, shown="default_aggregation[formula]")
    if formula is None:
        raise StripeError(400, "Missing required param: default_aggregation[formula].",
                          code="parameter_missing", param="default_aggregation[formula]")
    mapping, value = p.group(params, "customer_mapping"), p.group(params, "value_settings")
    now = world.clock.now_s()
    meter = {
        "id": world.ids.new("mtr_test", 28), "object": "billing.meter", "created": now,
        "customer_mapping": {
            "event_payload_key": mapping.get("event_payload_key") or "stripe_customer_id",
            "type": p.one_of(mapping, "type", ("by_id",), "by_id", "customer_mapping[type]")},
        "default_aggregation": {"formula": formula},
        "display_name": p.text(params, "display_name", most=250), "event_name": event_name,
        "event_time_window": p.one_of(params, "event_time_window", ("day", "hour")),
        "livemode": False, "status": "active", "status_transitions": {"deactivated_at": None},
        "updated": now,
        "value_settings": {"event_payload_key": value.get("event_payload_key") or "value"}}
    world.of("billing.meter").add(meter)
    world.meters_by_event_name[event_name] = meter
    world.events.record("billing.meter.created", meter, call)
    return meter


def retrieve(world, call, id):
    return world.of("billing.meter").get(id)


def update(world, call, id):
    meter = world.of("billing.meter").get(id)
    p.check(call.params, {"display_name"})
    with world.events.update("billing.meter.updated", meter, call):
        if call.params.get("display_name"):
            meter["display_name"] = p.text(call.params, "display_name", most=250)
            meter["updated"] = world.clock.now_s()
    return meter


def set_status(world, call, id, status, event_type):
    meter = world.of("billing.meter").get(id)
    if meter["status"] == status:
        raise StripeError(400, "This meter is already %s." % status)
    now = world.clock.now_s()
    with world.events.update(event_type, meter, call):
        meter["status"], meter["updated"] = status, now
        meter["status_transitions"]["deactivated_at"] = now if status == "inactive" else None
    return meter


def deactivate(world, call, id):
    return set_status(world, call, id, "inactive", "billing.meter.deactivated")


def reactivate(world, call, id):
    return set_status(world, call, id, "active", "billing.meter.reactivated")


def list_all(world, call):
    status = p.one_of(call.params, "status", ("active", "inactive"))
    return world.of("billing.meter").page(call.params, "/v1/billing/meters",
                                          status and (lambda m: m["status"] == status))
