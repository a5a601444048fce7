#!/usr/bin/python3
"""quota.py TENANT METRIC QUANTITY: do something that costs so much, if the tenant may. REDIS_URL says where Redis is."""

import os
import sys
import time
import uuid

import redis

HOLD_MS = 60_000  # longer than the work takes


def work():
    print("working")


def main(tenant, metric, quantity):
    line = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379"), decode_responses=True)
    quota, request = f"quota:{{{tenant}}}", str(uuid.uuid4())
    verdict, reason, *_ = line.fcall("meterline_reserve", 1, quota, metric, quantity, request, HOLD_MS)
    print(verdict, reason)
    if verdict == "deny":
        return 1
    try:
        work()
    except BaseException:
        line.fcall("meterline_settle", 1, quota, metric, request, "")  # Given back: nothing was used.
        raise
    entry = line.xadd("usage:events", {"id": request, "tenant": tenant, "metric": metric, "quantity": quantity,
                                       "ts": int(time.time() * 1000)})
    line.fcall("meterline_settle", 1, quota, metric, request, entry)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
