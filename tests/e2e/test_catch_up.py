"""Events that Stripe never delivered are found in its list, at start and then now and then, by one webhookd."""

import json
import time

import pytest

from line.line import TEST_WEBHOOK_SECRET
from sandbox.client import Sandbox

DAY = 86400


@pytest.fixture
def stripe():
    with Sandbox.start(rate_per_s=0) as sandbox:
        yield sandbox


def start(line, stripe, **settings):
    return line.start_webhookd(STRIPE_API_BASE=stripe.url, WEBHOOKD_RATE_PER_S="500", **settings).wait_ready()


def make_tenants(stripe, *tenants):
    return stripe.bootstrap(tenants=tenants, price_lookup_key="standard")["tenants"]


def subscribed(line):
    return [row.tenant for row in line.sql("SELECT tenant FROM subscriptions ORDER BY tenant")]


def read_again(line):
    """As if the interval had passed; the position stays."""
    line.sql("UPDATE stripe_catch_up SET done_at = done_at - interval '1 day' WHERE name = 'events'")


def listings(stripe):
    return [r for r in stripe.requests("/v1/events") if r["method"] == "GET"]


def missed(stage):
    return stage.metric("meterline_webhooks_missed_total")


def test_what_was_never_delivered_is_found_at_start_and_later(line, stripe):
    """No endpoint is there at all: nothing is delivered."""
    make_tenants(stripe, "early")
    stage = start(line, stripe, CATCH_UP_INTERVAL_S="1")
    line.wait_for(lambda: subscribed(line) == ["early"])
    assert missed(stage) == 0 and not stage.logs("deliveries_missed"), "of what was before us nothing was missed"
    stripe.event("customer.updated", {"id": "cus_old", "object": "customer", "metadata": {}},
                 created=int(time.time()) - 400)
    make_tenants(stripe, "late")
    line.wait_for(lambda: subscribed(line) == ["early", "late"])
    told = stage.wait_log("deliveries_missed")
    assert told["events"] == "1" and missed(stage) == 1, "the others may still have been on their way"


def test_a_delivery_and_the_list_are_one_event(line, stripe):
    """Whichever comes first, it is worked once; a type without an effect is left out."""
    make_tenants(stripe, "acme")
    stage = start(line, stripe)
    stage.wait_log("catch_up_finished")
    line.wait_for(lambda: subscribed(line) == ["acme"])
    stored = line.value("SELECT count(*) FROM webhook_events")
    assert line.sql("SELECT 1 FROM webhook_events WHERE type LIKE 'product%'") == []
    stripe.webhook(stage.webhook_url, secret=TEST_WEBHOOK_SECRET)
    for row in line.sql("SELECT event_id FROM webhook_events"):
        stripe.redeliver(row.event_id)
    line.wait_for(lambda: [d["state"] for d in stripe.deliveries()] == ["delivered"] * stored)
    assert line.value("SELECT count(*) FROM webhook_events") == stored
    assert line.value("SELECT max(attempts) FROM webhook_events") == 1
    payload = json.loads(line.value("SELECT payload FROM webhook_events WHERE type = 'customer.created'"))
    assert payload["object"] == "event" and payload["data"]["object"]["metadata"] == {"tenant": "acme"}


def test_many_pages_are_read_once_by_one_of_several(line, stripe):
    """450 events in five pages. Those that start later read only the last minutes again."""
    made = make_tenants(stripe, *(f"t{n}" for n in range(150)))
    line.sql("UPDATE stripe_catch_up SET owner = 'another', lease_until = now() + interval '5 s' WHERE name = 'events'")
    stages = [start(line, stripe, CATCH_UP_INTERVAL_S="3600") for _ in range(2)]
    assert not listings(stripe), "another one reads"
    line.sql("UPDATE stripe_catch_up SET owner = NULL, lease_until = NULL")
    stages.append(start(line, stripe))
    line.wait_for(lambda: len(subscribed(line)) == len(made), 60)
    line.wait_for(lambda: line.value("SELECT owner IS NULL AND done_at IS NOT NULL FROM stripe_catch_up"
                                     " WHERE name = 'events'"))
    finished = [stage for stage in stages if stage.logs("catch_up_finished")]
    assert len(finished) == 1 and finished[0] is stages[2]
    assert line.value("SELECT max(attempts) FROM webhook_events") == 1


def test_a_process_that_dies_leaves_its_place_to_another(line, stripe):
    """Its lease passes, and the next one goes on from the position."""
    make_tenants(stripe, "acme")
    hang = stripe.fault("hang", path="/v1/events")
    first = start(line, stripe)
    line.wait_for(lambda: line.value("SELECT owner FROM stripe_catch_up WHERE name = 'events'"))
    first.kill9()
    stripe.end_fault(hang)
    line.sql("UPDATE stripe_catch_up SET lease_until = now() WHERE name = 'events'")
    second = start(line, stripe)
    second.wait_log("catch_up_finished")
    line.wait_for(lambda: subscribed(line) == ["acme"])
    assert line.value("SELECT position_at > now() - interval '1 minute' FROM stripe_catch_up WHERE name = 'events'")


def test_stripe_away_or_a_key_that_may_not_list_events_only_delays_it(line, stripe):
    fault = stripe.fault("status", status=403, path="/v1/events", method="GET")
    stage = start(line, stripe)
    stage.wait_log("catch_up_failed")
    assert "our key may not read v1/events (403)" in stage.get("/readyz")[1]
    assert stage.get("/readyz")[0] == 200
    stage.term()
    stripe.end_fault(fault)
    fault = stripe.fault("drop_before_apply", path="/v1/events")
    make_tenants(stripe, "acme")
    stage = start(line, stripe)
    stage.wait_log("catch_up_failed")
    stripe.end_fault(fault)
    stage.wait_log("catch_up_finished", timeout=60)
    line.wait_for(lambda: subscribed(line) == ["acme"])


def test_after_more_than_thirty_days_all_objects_are_read(line, stripe):
    """Stripe no longer has the events. What a list does not have any more is asked for, too."""
    made = make_tenants(stripe, "old", "gone", "stays")
    first = start(line, stripe)
    line.wait_for(lambda: subscribed(line) == ["gone", "old", "stays"])
    first.wait_log("catch_up_finished")
    first.term()
    make_tenants(stripe, "young")
    stripe.api("DELETE", f"/v1/subscriptions/{made['old']['subscription']}")
    stripe.api("DELETE", f"/v1/customers/{made['gone']['customer']}")
    stripe.clock(45 * DAY)
    line.sql("UPDATE stripe_catch_up SET position_at = position_at - interval '45 days' WHERE name = 'events'")
    second = start(line, stripe)
    told = second.wait_log("objects_read")
    assert (told["customers"], told["subscriptions"], told["gone"]) == ("3", "4", "1")
    second.wait_log("catch_up_finished")
    assert subscribed(line) == ["gone", "old", "stays", "young"]
    rows = line.sql("SELECT tenant, status FROM subscriptions ORDER BY 1")
    assert [row.status for row in rows] == ["canceled", "canceled", "active", "active"]
    assert line.value("SELECT deleted_at IS NOT NULL FROM billing_customers WHERE tenant = 'gone'")


def test_a_reading_of_all_objects_that_another_began_and_left_is_brought_to_its_end(line, stripe):
    """While another one reads them, the position stays: that one may die. Read once, they are not read again."""
    make_tenants(stripe, "acme")
    line.sql("UPDATE stripe_catch_up SET position_at = now() - interval '45 days' WHERE name = 'events'")
    line.sql("UPDATE stripe_catch_up SET owner = 'another', started_at = now(), step = 'customers' WHERE name = 'objects'")

    def another_reads_on():
        line.sql("UPDATE stripe_catch_up SET lease_until = now() + interval '1 s' WHERE name = 'objects'")
        return line.sql("SELECT lease_until, position_at FROM stripe_catch_up WHERE name = 'events'")[0]

    another_reads_on()
    stage = start(line, stripe, CATCH_UP_INTERVAL_S="1")
    line.wait_for(lambda: another_reads_on().lease_until)
    first = another_reads_on()
    line.wait_for(lambda: another_reads_on() != first, 60)
    assert another_reads_on().position_at == first.position_at, "it looks again, and has read nothing"
    assert not listings(stripe) and not stage.logs("catch_up_finished")
    stage.wait_log("objects_read", timeout=60)
    stage.wait_log("catch_up_finished")
    line.wait_for(lambda: subscribed(line) == ["acme"])
    line.sql("UPDATE stripe_catch_up SET position_at = now() - interval '45 days' WHERE name = 'events'")
    stage.term()
    again = start(line, stripe)
    again.wait_log("catch_up_finished")
    assert not again.logs("objects_read")


def test_0_or_no_key_reads_nothing(line, stripe):
    make_tenants(stripe, "acme")
    stages = [start(line, stripe, CATCH_UP_INTERVAL_S="0"), start(line, stripe, STRIPE_SECRET_KEY=None)]
    stripe.webhook(stages[0].webhook_url, secret=TEST_WEBHOOK_SECRET)
    make_tenants(stripe, "globex")
    line.wait_for(lambda: subscribed(line) == ["globex"])
    assert not listings(stripe)
