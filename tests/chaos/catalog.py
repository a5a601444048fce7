"""Metrics of every aggregation, plain and derived, the tenants, and the streams that they go to."""

import binascii

from line.line import STREAM


def metric(name, aggregation, **more):
    return {"metric": name, "name": name, "unit": "unit", "aggregation": aggregation,
            "transport": "none", **more}


METRICS = [
    metric("tokens", "sum", dimensions=["model", "region"]),
    metric("logins", "count", dimensions=["region"]),
    metric("peak", "max", dimensions=["region"]),
    metric("seats", "last", carry=True),
    metric("level", "last", dimensions=["region"]),
    metric("users", "unique", dimensions=["user"]),
    metric("large_tokens", "sum", **{"from": "tokens"}, where={"model": "large"},
           dimensions=["region"]),
    metric("eu_calls", "count", **{"from": "tokens"}, where={"region": "eu"}),
    metric("largest", "max", **{"from": "tokens"}),
    metric("small_last", "last", **{"from": "tokens"}, where={"model": "small"}),
    metric("eu_models", "unique", **{"from": "tokens"}, where={"region": "eu"},
           dimensions=["model", "user"]),
]
CATALOG = {"plans": [], "metrics": METRICS}
EMITTED = [each["metric"] for each in METRICS if "from" not in each]
LASTS = ("tokens", "seats", "level")  # Whose last value is looked at.
TENANTS = [*(f"tenant-{n}" for n in range(36)), "ünïcode", "with space", '"quoted"', "a{b}c",
           "T" * 128]


def streams(shards):
    return [STREAM] if shards == 1 else [f"{STREAM}:{{{n}}}" for n in range(shards)]


def stream_of(tenant, shards):
    """Where a service sends a tenant's events: CRC16 as Redis Cluster computes it."""
    name = tenant if isinstance(tenant, bytes) else str(tenant).encode()
    return streams(shards)[binascii.crc_hqx(name, 0) % shards]
