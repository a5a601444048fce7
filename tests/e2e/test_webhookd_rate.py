"""webhookd at Stripe's rate limit: few calls are refused, every event is worked, and the log stays readable."""

import datetime
import json
import os
import time

import pytest

from line.line import TEST_WEBHOOK_SECRET
from sandbox.client import Sandbox

TENANTS = 150


@pytest.fixture
def stripe():
    with Sandbox.start(rate_per_s=0) as sandbox:
        yield sandbox


def start(line, stripe, **settings):
    stage = line.start_webhookd(STRIPE_API_BASE=stripe.url, **settings).wait_ready()
    stripe.webhook(stage.webhook_url, secret=TEST_WEBHOOK_SECRET)
    return stage


def make_tenants(line, stripe, count=TENANTS):
    stripe.bootstrap(tenants=[f"t{n}" for n in range(count)], price_lookup_key="standard")
    line.wait_for(lambda: line.value("SELECT count(*) FROM subscriptions") == count, 120,
                  "all subscriptions")
    line.wait_for(lambda: line.value(
        "SELECT count(*) FROM webhook_events WHERE state = 'received'") == 0, 120, "all worked")


def refused(stripe):
    return stripe.control("GET", "/totals")["rate_limited"]


def seconds(record):
    return datetime.datetime.fromisoformat(record["ts"].replace("Z", "+00:00")).timestamp()


def test_little_is_refused_below_another_limit_than_its_own(line, stripe):
    """As when others use up the account's rate: Stripe allows 10 calls a second, webhookd would make 50."""
    stripe.set(rate_per_s=10)
    stage = start(line, stripe, WEBHOOKD_RATE_PER_S="50")
    make_tenants(line, stripe)
    print("refused", refused(stripe), "lines", len(stage.logs()))
    assert refused(stripe) < TENANTS / 3
    assert not stage.logs("peer_lost")
    # One line for each event, a few at the start, and one on the rate.
    assert 1 <= len(stage.logs("rate_lowered")) <= 3
    assert len(stage.logs()) < line.value("SELECT count(*) FROM webhook_events") + 30


def test_a_429_is_no_lost_peer_and_retry_after_is_kept(line, stripe):
    """Retry-After delays every call. The event is worked after that, at its first try."""
    stage = start(line, stripe)
    stripe.fault("status", status=429, times=1, path="/v1/customers", method="GET",
                 headers={"Retry-After": "2", "Stripe-Rate-Limited-Reason": "global-rate"})
    stripe.bootstrap(tenants=["acme"], price_lookup_key="standard")
    told = stage.wait_log("rate_lowered", peer="stripe")
    assert told["calls_per_s"] == "10"
    done = stage.wait_log("webhook_processed", type="customer.created")
    assert seconds(done) - seconds(told) >= 1.9
    assert line.value("SELECT max(attempts) FROM webhook_events") == 1
    assert not stage.logs("peer_lost") and not stage.logs("webhook_delayed")


def test_one_objects_429_slows_nobody_else(line, stripe):
    stage = start(line, stripe)
    stripe.fault("status", status=429, times=1, path="/v1/customers", method="GET",
                 body={"error": {"code": "lock_timeout", "message": "locked"}})
    stripe.bootstrap(tenants=["acme"], price_lookup_key="standard")
    line.wait_for(lambda: line.value("SELECT count(*) FROM subscriptions") == 1)
    stage.wait_log("webhook_delayed")
    assert not stage.logs("rate_lowered") and not stage.logs("peer_lost")


def test_a_stripe_that_comes_and_goes_is_logged_once_a_minute(line, stripe):
    stage = start(line, stripe)
    stripe.fault("status", status=500, path="/v1/customers", method="GET")
    stripe.bootstrap(tenants=[f"t{n}" for n in range(20)], price_lookup_key="standard")
    line.wait_for(lambda: line.value("SELECT count(*) FROM subscriptions") >= 15, 60)
    stage.wait_log("peer_lost", peer="stripe")
    assert len(stage.logs("peer_lost")) <= 2 and len(stage.logs("webhook_delayed")) <= 4


def every_event(stripe):
    """Newest first."""
    found, query = [], {"limit": 100}
    while True:
        page = stripe.api("GET", "/v1/events", query).json
        found += page["data"]
        if not page["has_more"]:
            return found
        query["starting_after"] = found[-1]["id"]


def store(line, events):
    """As if they had been delivered."""
    line.sql("INSERT INTO webhook_events (event_id, type, object_id, created_at, payload)"
             " SELECT e ->> 'id', e ->> 'type', e #>> '{data,object,id}', to_timestamp((e ->> 'created')::float8), e::text"
             " FROM jsonb_array_elements(%s::jsonb) e", json.dumps(events))


def test_objects_are_fetched_side_by_side(line, stripe):
    """A backlog, and a Stripe that takes 200 ms for each answer. SPEED_EVENTS=8000 SPEED_PER_S=500 for the figure itself;
    in a test that others run beside, it is enough that the waits overlap: one after the other, two workers make 10/s."""
    count = int(os.environ.get("SPEED_EVENTS", "800"))
    stripe.bootstrap(tenants=[f"t{n}" for n in range(count // 2)], price_lookup_key="standard")
    events = [event for event in every_event(stripe) if event["type"] in ("customer.created", "customer.subscription.created")]
    assert len(events) == count
    store(line, events[::-1])
    stripe.set(delay_ms=200)
    begun = time.monotonic()
    line.start_webhookd(STRIPE_API_BASE=stripe.url, WEBHOOKD_RATE_PER_S="1000",
                        WEBHOOKD_WORKERS=os.environ.get("SPEED_WORKERS", "2")).wait_ready()
    line.wait_for(lambda: line.value("SELECT count(*) FROM webhook_events WHERE state = 'received'") == 0, 300)
    took = time.monotonic() - begun
    print(f"{count} events in {took:.1f} s: {count / took:.0f}/s")
    assert line.value("SELECT count(*) FROM subscriptions") == count // 2
    assert count / took > int(os.environ.get("SPEED_PER_S", "20"))
