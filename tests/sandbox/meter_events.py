"""Meter events: checked at once, counted at once, but what only an account knows (is there such a
customer, is the meter active) is reported later by an event, as Stripe does."""
import json
import re

from . import params as p
from .clock import parse_rfc3339, rfc3339
from .errors import StripeError, missing_param
from .usage import MeterEvent

FIELDS = {"event_name", "payload", "identifier", "timestamp", "expand"}
WHOLE = re.compile(r"-?[0-9]+\Z")
MOST_DIGITS = 15
UNIQUE_S = 24 * 3600
PAST_S, FUTURE_S = 35 * 86400, 300
SINGLE = ("/v1/billing/meter_events", "/v2/billing/meter_events")


def note_arrival(world, call):
    """Before anything can go wrong: the lane of the call, and who used this identifier. A usage
    record has none: its idempotency key stands for it."""
    if call.path not in SINGLE:
        if call.path == "/v2/billing/meter_event_stream":
            note_stream(world, call)
        elif call.path.endswith("/usage_records") and call.idempotency_key:
            world.requests.note_identifier(call.idempotency_key, call.entry,
                                           call.path.encode() + b"?" + call.body)
        return
    try:
        params = call.params
    except StripeError:
        return                  # the handler will say it
    payload, identifier = params.get("payload"), params.get("identifier")
    event_name = params.get("event_name")
    if isinstance(payload, dict) and isinstance(event_name, str):
        meter = world.meters_by_event_name.get(event_name)
        key = meter["customer_mapping"]["event_payload_key"] if meter else "stripe_customer_id"
        customer = payload.get(key)
        if isinstance(customer, str):
            call.lane = customer, event_name
    if isinstance(identifier, str):
        world.requests.note_identifier(identifier, call.entry, call.body)


def note_stream(world, call):
    try:
        events = call.params.get("events")
    except StripeError:
        return
    for event in events if isinstance(events, list) else ():
        if isinstance(event, dict) and isinstance(event.get("identifier"), str):
            world.requests.note_identifier(event["identifier"], call.entry,
                                           json.dumps(event).encode())


def create(world, call):
    """POST /v1/billing/meter_events. The hot path: answers bytes."""
    params = call.params
    for name in params:
        if name not in FIELDS:
            p.check(params, FIELDS)
    timestamp = p.integer(params, "timestamp")
    now = world.clock.now_s()
    event = accept(world, call, params, now if timestamp is None else timestamp, "v1")
    return json.dumps({
        "object": "billing.meter_event", "created": now, "event_name": event.event_name,
        "identifier": event.identifier, "livemode": False, "payload": event.payload,
        "timestamp": event.timestamp}).encode()


def create_v2(world, call):
    params = call.params
    p.check(params, FIELDS)
    event = accept(world, call, params, read_v2_time(world, params.get("timestamp")), "v2")
    return {"object": "v2.billing.meter_event", "created": rfc3339(event.received_at),
            "event_name": event.event_name, "identifier": event.identifier, "livemode": False,
            "payload": event.payload, "timestamp": rfc3339(event.timestamp)}


def read_v2_time(world, text):
    if text is None:
        return world.clock.now_s()
    try:
        return parse_rfc3339(text)
    except (ValueError, TypeError, AttributeError):
        raise StripeError(400, "Invalid timestamp: %s" % text, code="invalid_timestamp",
                          param="timestamp")


def accept(world, call, params, timestamp, source):
    """Check all that is checked at once, then count."""
    event_name, identifier = params.get("event_name"), params.get("identifier") or None
    payload = params.get("payload")
    if not event_name:
        raise missing_param("event_name")
    if not isinstance(event_name, str):
        raise StripeError(400, "Invalid string", param="event_name")
    if not payload:
        raise missing_param("payload")
    if not isinstance(payload, dict) or not all(isinstance(v, str) for v in payload.values()):
        raise StripeError(400, "Invalid payload: must map strings to strings.", param="payload")
    if identifier is not None and (not isinstance(identifier, str) or len(identifier) > 100):
        raise StripeError(400, "Invalid identifier: must be at most 100 characters.",
                          param="identifier")
    meter = world.meters_by_event_name.get(event_name)
    if meter is None:
        raise StripeError(400, "No meter found with event name '%s'." % event_name,
                          code="resource_missing", param="event_name", began=True)
    problem = problem_of(meter, payload, timestamp, world.clock.now_s())
    if problem:
        raise StripeError(400, problem[1], code=problem[0], param=problem[2])
    if identifier is None:
        identifier = world.ids.new("idmp", 24)
    elif is_duplicate(world, identifier):
        raise StripeError(400, "An event already exists with identifier %s." % identifier)
    return put(world, call, meter, payload, identifier, timestamp, source)


def is_duplicate(world, identifier):
    known = world.usage.by_identifier.get(identifier)
    return known is not None and world.clock.now() - known.received_at < UNIQUE_S


def problem_of(meter, payload, timestamp, now):
    """(code, message, param) of what is wrong with the event itself, or None."""
    customer_key = meter["customer_mapping"]["event_payload_key"]
    value_key = meter["value_settings"]["event_payload_key"]
    if not payload.get(customer_key):
        return ("meter_event_no_customer_defined", "No customer defined: payload must contain '%s'."
                % customer_key, "payload[%s]" % customer_key)
    value = payload.get(value_key)
    if value is None and meter["default_aggregation"]["formula"] != "count":
        return ("meter_event_value_not_found", "No value defined: payload must contain '%s'."
                % value_key, "payload[%s]" % value_key)
    if value is not None and not WHOLE.match(value):
        return ("meter_event_invalid_value", "Invalid value '%s': only whole numbers are supported."
                % value, "payload[%s]" % value_key)
    if value is not None and len(value.lstrip("-0")) > MOST_DIGITS:
        return ("meter_event_value_too_many_digits", "Invalid value '%s': at most %d digits are "
                "supported." % (value, MOST_DIGITS), "payload[%s]" % value_key)
    if timestamp > now + FUTURE_S:
        return ("timestamp_in_future", "The timestamp must be at most 5 minutes in the future.",
                "timestamp")
    if timestamp < now - PAST_S:
        return ("timestamp_too_far_in_past", "The timestamp must be within the past 35 calendar "
                "days.", "timestamp")
    return None


def put(world, call, meter, payload, identifier, timestamp, source):
    customer = payload[meter["customer_mapping"]["event_payload_key"]]
    value = payload.get(meter["value_settings"]["event_payload_key"])
    event = MeterEvent(identifier, meter["event_name"], customer, payload,
                       1 if value is None else int(value), timestamp, world.clock.now(), source)
    if call.rejection:
        reject(world, call, event, meter, call.rejection, "The sandbox was told to refuse it.")
        call.rejection = None
    elif meter["status"] != "active":
        reject(world, call, event, meter, "archived_meter", "The meter is not active.")
    elif customer not in world.objects["customer"].place:
        reject(world, call, event, meter, "meter_event_customer_not_found",
               "No customer found with id '%s'." % customer)
    world.usage.add(event)
    return event


def reject(world, call, event, meter, code, message):
    event.status, event.code = "rejected", code
    world.meter_errors.add(meter, code, message, event.identifier, call)
