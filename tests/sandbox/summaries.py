"""Meter event summaries: what a customer's invoice would count, by the minute."""
import hashlib

from . import params as p
from .errors import StripeError
from .store import page
from .usage import WINDOW_S, aggregate

FIELDS = {"customer", "start_time", "end_time", "value_grouping_window", "limit", "starting_after",
          "ending_before"}


def list_all(world, call, id):
    params = call.params
    p.check(params, FIELDS, required=("customer", "start_time", "end_time"))
    meter = world.of("billing.meter").get(id)
    customer = world.of("customer").get(params["customer"], "customer")["id"]
    window = p.one_of(params, "value_grouping_window", ("hour", "day"))
    start, end = read_edge(params, "start_time", window), read_edge(params, "end_time", window)
    if end <= start:
        raise StripeError(400, "end_time must be after start_time.", param="end_time")
    bucket = world.usage.buckets.get((customer, meter["event_name"]))
    events = bucket.between(start, end) if bucket else []
    groups = {}
    for event in events:
        first = event.timestamp - event.timestamp % WINDOW_S[window] if window else start
        groups.setdefault(first, []).append(event)
    found = []
    for first in sorted(groups):
        last = first + WINDOW_S[window] if window else end
        found.append({"id": id_of(meter, customer, first, last),
                      "object": "billing.meter_event_summary",
                      "aggregated_value": aggregate(groups[first], meter), "start_time": first,
                      "end_time": last, "livemode": False, "meter": meter["id"]})
    return page(found, params, "/v1/billing/meters/%s/event_summaries" % id,
                "billing.meter_event_summary")


def read_edge(params, name, window):
    value = p.integer(params, name)
    step = WINDOW_S[window] if window else 60
    if value % step:
        raise StripeError(400, "%s must be aligned with %s boundaries."
                          % (name, window or "minute"), param=name)
    return value


def id_of(meter, customer, start, end):
    """The same summary has the same id on every page."""
    text = "%s %s %d %d" % (meter["id"], customer, start, end)
    return "mtrusg_test_" + hashlib.sha256(text.encode()).hexdigest()[:24]
