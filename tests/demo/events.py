"""What the demo sends, the same in every run: 100,000 events with some repeated and some invalid,
and what must come of them. The expectation is made here, from the events alone, so that it is a
third witness beside our ledger and Stripe's totals."""

import collections
import decimal
import json
import random
import time
import uuid

VALID, REPEATED, INVALID = 96_000, 3_000, 1_000
TOTAL = VALID + REPEATED + INVALID
DAY_MS = 86_400_000

# How often each metric occurs, of 100. The last two are levels: the latest value counts.
SHARES = {"api_calls": 45, "llm_tokens": 30, "agent_executions": 15, "storage_gb": 6,
          "user_seats": 4}
LEVELS = ("storage_gb", "user_seats")

Workload = collections.namedtuple("Workload", "emitted direct expected")


def make(tenants, seed=20):
    """emitted: what the emitter is given; direct: invalid ones that a careless service adds to the
    stream by itself; expected: {(tenant, metric): quantity}."""
    chooser = random.Random(seed)
    valid = [valid_event(chooser, tenants) for _ in range(VALID)]
    half = INVALID // 2
    lines = [(place, event) for place, event in enumerate(valid)]
    # A repeat comes some time after the first: a service that had no answer and tried again.
    lines += [(place + chooser.uniform(1, 20_000), valid[place])
              for place in chooser.sample(range(VALID), REPEATED)]
    lines += [(chooser.uniform(0, VALID), invalid_event(chooser, tenants, number))
              for number in range(half)]
    lines.sort(key=lambda line: line[0])
    direct = [invalid_event(chooser, tenants, number) for number in range(INVALID - half)]
    return Workload([event for _, event in lines], direct, expect(valid))


def valid_event(chooser, tenants):
    # Squared, so that some tenants are far busier than others.
    tenant = tenants[int(chooser.random() ** 2 * len(tenants))]
    metric = chooser.choices(list(SHARES), SHARES.values())[0]
    event = {"id": new_id(chooser), "tenant": tenant, "metric": metric}
    if metric == "llm_tokens":
        event["quantity"] = str(chooser.randint(1, 4000))
        event["model"] = chooser.choice(("small", "large"))
    elif metric == "storage_gb":
        event["quantity"] = f"{chooser.randint(1, 400_000) / 1000:.3f}"
    elif metric == "user_seats":
        event["quantity"] = str(chooser.randint(1, 50))
    elif metric == "agent_executions":
        event["quantity"] = str(chooser.randint(1, 3))
    return event  # An API call has no quantity: 1.


def invalid_event(chooser, tenants, number):
    """One of five kinds in turn. None has more than one fault."""
    now_ms = int(time.time() * 1000)
    event = {"id": new_id(chooser), "tenant": chooser.choice(tenants), "metric": "api_calls", "ts": str(now_ms)}
    kind = number % 5
    if kind == 0:
        event["metric"] = "coffee_cups"
    elif kind == 1:
        event["quantity"] = "12,5"
    elif kind == 2:
        del event["tenant"]
    elif kind == 3:
        event["ts"] = str(now_ms + DAY_MS)
    else:
        event["ts"] = str(now_ms - 40 * DAY_MS)
    return event


def new_id(chooser):
    return str(uuid.UUID(int=chooser.getrandbits(128), version=4))


def expect(valid):
    """Sums add up; of a level the latest value stands. Events carry no time of their own, so the
    order in which they are sent is the order of use."""
    expected = collections.defaultdict(decimal.Decimal)
    for event in valid:
        key, quantity = (event["tenant"], event["metric"]), event.get("quantity", "1")
        if event["metric"] in LEVELS:
            expected[key] = decimal.Decimal(quantity)
        else:
            expected[key] += decimal.Decimal(quantity)
    return dict(expected)


def write_ndjson(events, path):
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(event) + "\n" for event in events)
