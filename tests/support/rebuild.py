"""Ledgers whose totals are rebuilt from their raw events."""

import json
import random
import time

from line.paths import CATALOG

MINUTE = 60_000
METRICS = [
    {"metric": "calls", "aggregation": "sum", "dimensions": ["region", "model"]},
    {"metric": "large_calls", "aggregation": "count", "from": "calls", "where": {"model": "large"},
     "dimensions": ["region"]},
    {"metric": "peak", "aggregation": "max"},
    {"metric": "seats", "aggregation": "last", "carry": True},
    {"metric": "users", "aggregation": "unique", "dimensions": ["user"]},
    {"metric": "jobs", "aggregation": "count"},
]


def catalog_with(line, metrics):
    catalog = json.loads(CATALOG.read_text())
    for metric in metrics:
        catalog["metrics"].append({"name": "x", "unit": "x", "transport": "none", **metric})
    path = line.folder / "catalog.json"
    path.write_text(json.dumps(catalog))
    line.must("meterctl", "catalog", "apply", path)


def count_all(line, **settings):
    line.must("aggregator", "--once", timeout=120, **settings)


def now_ms():
    return time.time_ns() // 1_000_000


def random_events(seed, count):
    """Every aggregation, with repeats, conflicts, late events and retractions in between."""
    rng, sent, ids = random.Random(seed), [], []
    now = now_ms()
    for i in range(count):
        event = {"tenant": f"t{rng.randrange(5)}", "metric": rng.choice(
            ["calls", "peak", "seats", "users", "jobs", "api_calls"]),
            "ts": now - rng.choice([0, 0, 0, 1, 5, 60, 24 * 60, 20 * 24 * 60]) * MINUTE
            - rng.randrange(3)}
        event["quantity"] = rng.choice(["1", "0.000000001", "-7.25", "999999999999999999.999999999",
                                        "-999999999999999999.999999999", str(rng.randrange(1000))])
        if rng.random() < 0.7:
            event["id"] = rng.choice([f"id-{i}", f"00000000-0000-7000-8000-{i:012x}"])
            ids.append((event["tenant"], event["id"], event["ts"]))
        for name, values in (("region", ["eu", "us", "ü\"\\"]), ("model", ["large", "small"]),
                             ("user", ["ann", "bob", "cy"]), ("request", [str(i)])):
            if rng.random() < 0.5:
                event[name] = rng.choice(values)
        sent.append(event)
        if ids and rng.random() < 0.25:
            tenant, event_id, ts = rng.choice(ids)
            sent.append({"tenant": tenant, "op": "retract", "id": event_id, "ts": ts})
        if rng.random() < 0.1:
            sent.append(dict(rng.choice(sent)))
    return sent
