#!/usr/bin/python3
"""Services that use what is metered, for the stand-in for Stripe: customers subscribe, then events come without end.

Of the environment: STRIPE_API_BASE (the sandbox), REDIS_URL_FILE, WEBHOOK_URL and WEBHOOK_SECRET_FILE (webhookd's).
It may be started again at any time: what is there already is kept.
"""

import argparse
import json
import os
import pathlib
import random
import signal
import sys
import time
import urllib.request

import redis

import events

CATALOG = pathlib.Path("/usr/share/meterline/catalog.json")
DAY_S = 86_400
ROUNDS_PER_S = 10


def secret(name):
    return pathlib.Path(os.environ[name]).read_text(encoding="utf-8").strip()


def ask(path, body=None):
    request = urllib.request.Request(os.environ["STRIPE_API_BASE"] + path, json.dumps(body).encode() if body else None,
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def in_time(attempt):
    """Tries until the other side is there: containers start in any order."""
    while True:
        try:
            return attempt()
        except (OSError, redis.RedisError) as error:
            print(f"waiting: {error}", flush=True)
            time.sleep(1)


def subscribe(tenants):
    catalog = json.loads(CATALOG.read_text(encoding="utf-8"))
    metrics = catalog["metrics"]
    meters = [{"event_name": m["stripe_event_name"], "formula": "sum" if m["aggregation"] in ("sum", "count") else "last"}
              for m in metrics if "stripe_event_name" in m]
    ask("/_sandbox/webhook_endpoints", {"url": os.environ["WEBHOOK_URL"], "enabled_events": ["*"],
                                        "secret": secret("WEBHOOK_SECRET_FILE")})
    for plan in catalog["plans"]:
        # What is sold has a price, which `meterctl doctor` looks for.
        ask("/_sandbox/bootstrap", {"meters": meters, "tenants": [], "price_lookup_key": plan["stripe_lookup_key"]})
    ask("/_sandbox/bootstrap", {"meters": meters, "tenants": tenants, "price_lookup_key": "standard",
                                "backdate_start_date": int(time.time()) - 7 * DAY_S})


def emit(server, chooser, tenants, count):
    """In one pipeline; a repeat of what Redis did not acknowledge is counted once."""
    batch = [events.valid_event(chooser, tenants) if chooser.random() > 0.002
             else events.invalid_event(chooser, tenants, chooser.randrange(5)) for _ in range(count)]
    for event in batch:
        event.setdefault("ts", str(int(time.time() * 1000)))

    def send():
        pipeline = server.pipeline(transaction=False)
        for event in batch:
            pipeline.xadd("usage:events", event)
        pipeline.execute()
    in_time(send)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events-per-s", type=int, default=200)
    parser.add_argument("--tenants", type=int, default=50)
    parser.add_argument("--limit", type=int, default=0, help="send no more after so many events; 0: go on")
    parser.add_argument("--totals", action="store_true", help="print what the sandbox holds of each tenant, and end")
    options = parser.parse_args()
    if options.totals:
        print(json.dumps(ask("/_sandbox/totals")))
        return 0
    tenants = [f"tenant-{number}" for number in range(options.tenants)]
    in_time(lambda: subscribe(tenants))
    print(f"{len(tenants)} customers have subscribed; {options.events_per_s} events a second follow", flush=True)
    server = redis.Redis.from_url(secret("REDIS_URL_FILE"), socket_timeout=10)
    chooser, sent, due_s = random.Random(), 0, time.monotonic()
    while not options.limit or sent < options.limit:
        count = max(options.events_per_s // ROUNDS_PER_S, 1)
        count = min(count, options.limit - sent) if options.limit else count
        emit(server, chooser, tenants, count)
        sent += count
        due_s = max(due_s + count / options.events_per_s, time.monotonic() - 1)
        time.sleep(max(due_s - time.monotonic(), 0))
    print(f"{sent} events sent", flush=True)
    signal.pause()  # One that ends is started again.
    return 0


sys.exit(main())
