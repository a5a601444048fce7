"""Meter event adjustments: take an event back within 24 hours of its receipt."""
from . import params as p
from .clock import rfc3339
from .errors import StripeError, missing_param

CANCEL_S = 24 * 3600


def apply(world, params):
    p.check(params, {"event_name", "type", "cancel"}, required=("event_name", "type"))
    p.one_of(params, "type", ("cancel",))
    identifier = p.group(params, "cancel").get("identifier")
    if not identifier:
        raise missing_param("cancel[identifier]")
    if not isinstance(identifier, str) or not isinstance(params["event_name"], str):
        raise StripeError(400, "Invalid string", param="event_name")
    if params["event_name"] not in world.meters_by_event_name:
        raise StripeError(400, "No meter found with event name '%s'." % params["event_name"],
                          code="resource_missing", param="event_name")
    event = world.usage.by_identifier.get(identifier)
    if event is None or event.event_name != params["event_name"]:
        raise StripeError(400, "No event found with identifier %s." % identifier,
                          code="resource_missing", param="cancel[identifier]")
    if world.clock.now() - event.received_at > CANCEL_S:
        raise StripeError(400, "Events can only be canceled within 24 hours of being received.",
                          param="cancel[identifier]")
    if event.status == "canceled":
        raise StripeError(400, "The event with identifier %s was already canceled." % identifier,
                          param="cancel[identifier]")
    world.usage.cancel(event)
    return {"cancel": {"identifier": identifier}, "event_name": event.event_name,
            "livemode": False, "status": "pending", "type": "cancel"}


def create(world, call):
    return {"object": "billing.meter_event_adjustment", **apply(world, call.params)}


def create_v2(world, call):
    return {"id": world.ids.new("mtr_event_adj"), "object": "v2.billing.meter_event_adjustment",
            "created": rfc3339(world.clock.now()), **apply(world, call.params)}
