"""Every request that the sink makes is the one that Stripe's official clients would make."""

import json
import re

import pytest

from line import npm
from support.sink_shop import add_tenants, count, once, open_shop, subscribe_legacy, use_transport
from support.stripe_wire import CURRENT, LEGACY, call, official, wire

EVENTS = "/v1/billing/meter_events"
SESSION = "/v2/billing/meter_event_session"
STREAM = "/v2/billing/meter_event_stream"
ITEMS = "/v1/subscription_items"


@pytest.fixture
def shop(line):
    return open_shop(line)


def sent_by_us(line, path):
    return [wire(request) for request in line.sandbox.requests(path=path)]


def submissions(line):
    return line.sql("""SELECT *, quantity::bigint AS whole, extract(epoch FROM usage_at)::bigint AS at_s
                         FROM usage_submissions ORDER BY stripe_customer_id, event_name""")


def identifier(sent):
    return sent["body"]["identifier"]


def key_of(row):
    return {"idempotencyKey": row.identifier}


def test_a_meter_event(shop):
    add_tenants(shop, "acme", "other")
    count(shop, "llm_tokens", "42", "acme", "other")
    once(shop)
    ours = sent_by_us(shop, EVENTS)
    theirs = official([call(CURRENT, "billing.meterEvents.create", {
        "event_name": row.event_name, "identifier": row.identifier, "timestamp": row.at_s,
        "payload": {"stripe_customer_id": row.stripe_customer_id, "value": str(row.whole)}},
        key_of(row)) for row in submissions(shop)])
    assert sorted(ours, key=identifier) == sorted(theirs, key=identifier) and len(ours) == 2
    assert ours[0]["version"] == "2026-10-28.endive" and ours[0]["has_key"]


def test_a_batch_of_the_stream_and_its_session(shop):
    add_tenants(shop, "acme", "globex")  # Claimed in one page: of the same half.
    use_transport(shop, "meter_event_stream", "llm_tokens", "storage_gb")
    count(shop, "llm_tokens", "42", "acme", "globex")
    count(shop, "storage_gb", "7", "acme")
    once(shop)
    ours = sent_by_us(shop, SESSION) + sent_by_us(shop, STREAM)
    events = [{"event_name": row.event_name, "identifier": row.identifier,
               "payload": {"stripe_customer_id": row.stripe_customer_id, "value": str(row.whole)},
               "timestamp": row.usage_at.strftime("%Y-%m-%dT%H:%M:%S.000Z")}
              for row in submissions(shop)]
    theirs = official([call(CURRENT, "v2.billing.meterEventSession.create"),
                       call(CURRENT, "v2.billing.meterEventStream.create", {"events": events},
                            key="mes_token_1")])
    assert ours == theirs
    assert ours[1]["encoding"] == "application/json" and ours[1]["has_key"]


def test_a_usage_record(shop):
    [(_, item)] = subscribe_legacy(shop, "acme").values()
    use_transport(shop, "usage_records", "api_calls")
    count(shop, "api_calls", "42", "acme")
    once(shop)
    [row] = submissions(shop)
    ours = [request for request in sent_by_us(shop, ITEMS) if request["method"] == "POST"]
    theirs = official([call(LEGACY, "subscriptionItems.createUsageRecord", item, {
        "quantity": row.whole, "timestamp": row.at_s, "action": "increment"}, key_of(row))])
    assert ours == theirs
    assert ours[0]["version"] == "2024-06-20" and ours[0]["has_key"]


def test_hosts_are_those_of_the_official_client(line):
    """Where --help says that requests go without a setting."""
    try:
        folder = npm.folder() / "node_modules" / CURRENT
    except npm.Missing as why:
        pytest.skip(str(why))
    named = set()
    for file in folder.rglob("*.js"):
        named |= set(re.findall(r"'([a-z-]+\.stripe\.com)'", file.read_text(encoding="utf-8")))
    help_text = line.run("meterline-sink", "--help").stdout
    ours = set(re.findall(r"https://([a-z-]+\.stripe\.com)", help_text))
    assert ours == {"api.stripe.com", "meter-events.stripe.com"} and ours <= named, json.dumps(
        sorted(named))
