"""The control interface below /_sandbox/: JSON, no key. For tests and demonstrations."""
import json
import traceback

from . import bootstrap, endpoints, form, invoices, usage_records
from .call import Answer, parse_json
from .errors import StripeError, unknown_url
from .usage import aggregate


def answer(world, call):
    try:
        result = route(world, call, call.path[len("/_sandbox/"):].split("/"))
        return Answer(200, json.dumps(result).encode())
    except StripeError as e:
        return Answer(e.status, e.body())
    except Exception as e:
        traceback.print_exc()
        return Answer(500, json.dumps({"error": {"message": repr(e)}}).encode())


def route(world, call, parts):
    query, given = form.parse(call.query), parse_json(call.body)
    handler = HANDLERS.get((call.method, parts[0], len(parts)))
    if handler is None:
        raise unknown_url(call.method, call.path)
    return handler(world, query, given, *parts[1:-1] if len(parts) == 3 else parts[1:])


def add_fault(world, query, given):
    return {"id": world.faults.add(given).id}


def list_faults(world, query, given):
    return {"faults": [fault.shown() for fault in world.faults.list]}


def clear_faults(world, query, given):
    world.faults.list.clear()
    return {}


def end_fault(world, query, given, id):
    return {"fired": world.faults.end(id)}


def totals(world, query, given):
    """By the meter's formula; start and end: Unix seconds, end exclusive."""
    start, end = (int(query[x]) if query.get(x) else None for x in ("start", "end"))
    found = []
    for (customer, event_name), bucket in world.usage.buckets.items():
        meter = world.meters_by_event_name[event_name]
        if start is None and end is None:
            value, count = bucket.value(meter), len(bucket.events)
        else:
            events = bucket.between(start, end)
            value, count = aggregate(events, meter), len(events)
        if count:
            found.append({"customer": customer, "tenant": tenant_of(world, customer),
                          "event_name": event_name, "value": str(value), "events": count})
    return {"totals": found, "usage_records": record_totals(world, start, end),
            "violations": world.lanes.violations, "excused": world.lanes.excused,
            "rate_limited": world.limiter.refused}


def record_totals(world, start, end):
    found = []
    for id, records in world.usage_records.items():
        item = world.of("subscription_item").find(id)
        sub = item and world.of("subscription").find(item["subscription"])
        kept = {t: q for t, q in records.items() if (start is None or t >= start)
                and (end is None or t < end)}
        customer = sub and sub["customer"]
        formula = item["price"]["recurring"]["aggregate_usage"] if item else "sum"
        found.append({"subscription_item": id, "customer": customer,
                      "tenant": tenant_of(world, customer),
                      "metric": item["price"]["metadata"].get("metric") if item else None,
                      "value": str(usage_records.total(kept, formula)), "records": len(kept)})
    return found


def tenant_of(world, customer_id):
    customer = world.of("customer").find(customer_id)
    return customer["metadata"].get("tenant") if customer else None


def meter_events(world, query, given):
    limit = int(query.get("limit", 100_000))
    wanted = {name: query[name] for name in ("customer", "event_name", "identifier")
              if name in query}
    found = (e for e in world.usage.accepted
             if all(getattr(e, name) == value for name, value in wanted.items()))
    return {"meter_events": [e.shown() for _, e in zip(range(limit), found)]}


def identifiers(world, query, given):
    """Of one: every request that carried it. Of all: how many, and those with several bodies."""
    known = world.requests.by_identifier
    if "identifier" not in query:
        return {"identifiers": len(known), "requests": sum(map(len, known.values())),
                "differing": world.requests.differing()}
    seen = known.get(query["identifier"], [])
    return {"identifier": query["identifier"], "seen": [entry.shown() for entry, _ in seen]}


def requests(world, query, given):
    return {"requests": world.requests.newest(query.get("path", ""), int(query.get("limit", 1000)))}


def deliveries(world, query, given):
    return {"deliveries": [d.shown() for d in world.webhooks.deliveries
                           if query.get("type") in (None, d.event["type"])]}


def add_event(world, query, given):
    obj = given.get("object") or {}
    if obj.get("object") == "invoice":
        invoices.put(world, obj)
    event = world.events.record(given["type"], obj, None, given.get("previous_attributes"),
                                given.get("created"))
    return {"id": event["id"]}


def redeliver(world, query, given, id):
    """To every enabled endpoint that wants it, or to the one given."""
    event = world.events.snapshots.find(id) or world.events.thin.get(id)
    if given.get("endpoint"):
        world.webhooks.start(event, world.of("webhook_endpoint").get(given["endpoint"]))
    else:
        world.webhooks.dispatch(event)
    return {"id": id}


def add_endpoint(world, query, given):
    """As POST /v1/webhook_endpoints, but the secret may be chosen, so that the receiver can be
    started before its endpoint exists."""
    params = {"enabled_events": ["*"], **{k: v for k, v in given.items() if k != "secret"}}
    endpoint = endpoints.add(world, params, given.get("secret"))
    return {"id": endpoint["id"], "secret": endpoint["_secrets"][0]}


def roll_secret(world, query, given, id):
    return {"id": id, "secret": endpoints.roll_secret(world, id)}


def run_bootstrap(world, query, given):
    return bootstrap.run(world, given)


def set_clock(world, query, given):
    world.clock.offset_s = int(given.get("offset_s", 0))
    world.agenda.run()
    world.agenda.wake()
    return show_clock(world, query, given)


def show_clock(world, query, given):
    return {"now": world.clock.now_s(), "offset_s": world.clock.offset_s}


def set_options(world, query, given):
    """Rate, delay and search's lag may change while it runs, and how many refused events a report
    names."""
    if "rate_per_s" in given:
        world.limiter.rate_per_s = int(given["rate_per_s"])
        world.limiter.tokens = float(given["rate_per_s"])
    if "retry_days" in given:
        world.options.retry_days = [int(days) for days in given["retry_days"]]
    if given.get("after_retries") in ("cancel", "unpaid", "past_due"):
        world.options.after_retries = given["after_retries"]
    if "upcoming_days" in given:
        world.options.upcoming_days = int(given["upcoming_days"])
    if "delay_ms" in given:
        world.options.delay_ms = int(given["delay_ms"])
    if "search_lag_ms" in given:
        world.options.search_lag_ms = int(given["search_lag_ms"])
        for index in world.indexes.values():
            index.lag_s = world.options.search_lag_ms / 1000
    world.meter_errors.samples = int(given.get("samples", world.meter_errors.samples))
    return {"rate_per_s": world.limiter.rate_per_s, "delay_ms": world.options.delay_ms,
            "retry_days": world.options.retry_days, "after_retries": world.options.after_retries,
            "upcoming_days": world.options.upcoming_days,
            "search_lag_ms": world.options.search_lag_ms,
            "samples": world.meter_errors.samples}


def set_key(world, query, given):
    world.keys.set(given["key"], given.get("expired", False), given.get("refused", ()))
    return {}


def reset(world, query, given):
    world.reset()
    return {}


# (method, first part, number of parts); a second of three parts is an id.
HANDLERS = {
    ("POST", "faults", 1): add_fault,
    ("GET", "faults", 1): list_faults,
    ("DELETE", "faults", 1): clear_faults,
    ("DELETE", "faults", 2): end_fault,
    ("GET", "totals", 1): totals,
    ("GET", "meter_events", 1): meter_events,
    ("GET", "identifiers", 1): identifiers,
    ("GET", "requests", 1): requests,
    ("GET", "deliveries", 1): deliveries,
    ("POST", "events", 1): add_event,
    ("POST", "events", 3): redeliver,
    ("POST", "webhook_endpoints", 1): add_endpoint,
    ("POST", "webhook_endpoints", 3): roll_secret,
    ("POST", "bootstrap", 1): run_bootstrap,
    ("POST", "clock", 1): set_clock,
    ("GET", "clock", 1): show_clock,
    ("POST", "options", 1): set_options,
    ("POST", "keys", 1): set_key,
    ("POST", "reset", 1): reset,
}
