"""The meter event stream: short-lived tokens, batches of 100, every check made after the answer."""
from . import meter_events
from . import params as p
from .clock import parse_rfc3339, rfc3339
from .errors import StripeError
from .usage import MeterEvent

SESSION_S = 15 * 60
MOST_EVENTS = 100


def open_session(world, call):
    now = world.clock.now_s()
    token = world.ids.new("mes_token", 40)
    world.sessions[token] = now + SESSION_S
    return {"id": world.ids.new("mes"), "object": "v2.billing.meter_event_session",
            "authentication_token": token, "created": rfc3339(now),
            "expires_at": rfc3339(now + SESSION_S), "livemode": False}


def create(world, call):
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    expires_at = world.sessions.get(token.strip())
    if expires_at is None:
        raise StripeError(401, "Invalid meter event session token.", code="invalid_api_key")
    if expires_at <= world.clock.now():
        raise StripeError(401, "The meter event session has expired.",
                          type="temporary_session_expired",
                          code="billing_meter_event_session_expired")
    p.check(call.params, {"events"}, required=("events",))
    events = p.listed(call.params, "events")
    if len(events) > MOST_EVENTS:
        raise StripeError(400, "At most %d events a request." % MOST_EVENTS, param="events")
    for event in events:
        if not isinstance(event, dict) or not isinstance(event.get("payload"), dict) \
                or not isinstance(event.get("event_name"), str):
            raise StripeError(400, "Each event needs event_name and payload.", param="events")
    for event in events:
        if not isinstance(event.get("identifier", ""), str):
            raise StripeError(400, "Invalid string", param="events")
    for event in events:
        take(world, call, event)
    return {}


def take(world, call, given):
    """Count one event, or note why not. A duplicate is passed over in silence."""
    now = world.clock.now_s()
    identifier = given.get("identifier") or world.ids.new("idmp", 24)
    if meter_events.is_duplicate(world, identifier):
        return
    meter = world.meters_by_event_name.get(given["event_name"])
    payload = {str(k): str(v) for k, v in given["payload"].items()}
    try:
        timestamp = parse_rfc3339(given["timestamp"]) if given.get("timestamp") else now
    except (ValueError, TypeError, AttributeError):
        timestamp = 0
    problem = ("no_meter", "No meter found with this event name.") if meter is None else \
        meter_events.problem_of(meter, payload, timestamp, now)
    if problem is None:
        meter_events.put(world, call, meter, payload, identifier, timestamp, "stream")
        return
    event = MeterEvent(identifier, given["event_name"], payload.get("stripe_customer_id"), payload,
                       None, timestamp, world.clock.now(), "stream")
    meter_events.reject(world, call, event, meter, problem[0], problem[1])
    world.usage.add(event)
