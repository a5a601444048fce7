#!/usr/bin/python3
"""emit.py TENANT METRIC QUANTITY ID: emits one event, and sends it again until Redis has it. REDIS_URL says where Redis is."""

import os
import sys
import time

import redis

TENANT, METRIC, QUANTITY, ID = sys.argv[1:]


def emit(client, event, patience_s=60):
    """The same event each time, so it counts once, however often it arrives."""
    until = time.monotonic() + patience_s
    while True:
        try:
            return client.xadd("usage:events", event)
        except redis.RedisError:  # away, starting, full, a replica
            if time.monotonic() > until:
                raise  # Keep the event, with its id and ts, and send it later.
            time.sleep(0.2)


client = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379"), socket_timeout=5)
print(emit(client, {"id": ID, "tenant": TENANT, "metric": METRIC, "quantity": QUANTITY, "ts": int(time.time() * 1000)}).decode())
