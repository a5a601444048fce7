"""A meter that is missing or counts otherwise holds its metric, loudly, and nothing fails; once it is there, what
waited goes out by itself."""

import json

import pytest

from line import logfmt
from support.sink_shop import (
    METERS, add_tenants, count, keys_made_of, keys_of, once, open_shop, states, total, use_transport)

TENANTS = ["acme", "blue", "coral"]
ALL_METERS = [*METERS, ("agent_executions", "sum"), ("user_seats", "last")]


@pytest.fixture(name="shop")
def shop_fixture(line):
    return open_shop(line)


def make_meter(line, name, formula="sum", **more):
    answer = line.sandbox.api("POST", "/v1/billing/meters", {
        "display_name": name, "event_name": name, "default_aggregation": {"formula": formula}, **more})
    assert answer.status == 200, answer.body
    return answer.json["id"]


def customers_only(line):
    """Customers, and all of the catalog's meters but one."""
    made = line.sandbox.bootstrap(
        meters=[{"event_name": name, "formula": formula} for name, formula in ALL_METERS if name != "api_calls"],
        tenants=TENANTS)
    for tenant in TENANTS:
        line.tenants[tenant] = made["tenants"][tenant]["customer"]
        line.sql("INSERT INTO billing_customers (tenant, stripe_customer_id) VALUES (%s, %s)",
                 tenant, line.tenants[tenant])


def held(line):
    return {row.event_name: row.why for row in line.sql("SELECT event_name, why FROM meter_holds")}


def attention(line):
    """What the audit says that waits for a person."""
    return json.loads(line.meterctl("audit", "--json").stdout)["attention"]


def fails(line):
    done = line.run("meterline-sink", "--once")
    assert done.returncode == 1, done.stderr


@pytest.mark.parametrize("transport", ["meter_events", "meter_event_stream"])
def test_a_missing_meter_holds_its_metric_and_no_other(shop, transport):
    line = shop
    use_transport(line, transport, "api_calls", "llm_tokens")
    customers_only(line)
    count(line, "api_calls", 70, *TENANTS)
    count(line, "llm_tokens", 5, *TENANTS)
    fails(line)
    assert list(held(line)) == ["api_calls"] and "no meter with event name api_calls" in held(line)["api_calls"]
    assert states(line) == {"pending": 3, "sent": 3}
    assert [total(line, tenant, "llm_tokens") for tenant in TENANTS] == [5, 5, 5]
    report = json.loads(line.must("meterctl", "status", "--json").stdout)
    assert [(row["metric"], row["waiting"]) for row in report["meters"]] == [("api_calls", 3)]
    make_meter(line, "api_calls")
    once(line)
    assert held(line) == {} and states(line) == {"sent": 6}
    assert [total(line, tenant, "api_calls") for tenant in TENANTS] == [70, 70, 70]


def test_a_dry_run_tells_what_waits_for_its_meter(shop):
    line = shop
    customers_only(line)
    count(line, "api_calls", 70, "acme")
    count(line, "llm_tokens", 5, "acme")
    fails(line)
    count(line, "llm_tokens", 9, "acme")
    lines = line.must("meterline-sink", "--dry-run").stdout.splitlines()
    rows = {row["metric"]: (word, row.get("meter_held")) for word, row in
            ((text.split(" ")[0], logfmt.pairs(text)) for text in lines[:-1])}
    assert rows["llm_tokens"] == ("would_send", None) and rows["api_calls"][0] == "would_wait"
    assert "no meter with event name api_calls" in rows["api_calls"][1]
    assert logfmt.pairs(lines[-1])["meter_held"] == "1"


def test_a_daemon_says_so_and_goes_on_once_the_meter_is_there(shop):
    line = shop
    customers_only(line)
    count(line, "api_calls", 70, *TENANTS)
    sink = line.start("sink", SINK_INTERVAL_S="1")
    sink.wait_log("meter_held")
    line.wait_for(lambda: states(line) == {"pending": 3}, 30, "claims are made")
    line.wait_for(lambda: sink.metric("meterline_sink_meters_held") == 1, 30, "it tells that usage waits")
    status, text = sink.get("/readyz")
    assert (status, text.splitlines()[0]) == (200, "ready") and "\nheld: api_calls: Stripe has no meter" in text
    assert attention(line) == {"meter_held": "210"}
    line.wait_for(lambda: "held: api_calls" in (line.value(
        "SELECT reason FROM stage_instances WHERE stage = 'sink'") or ""), 30, "it tells the others")
    make_meter(line, "api_calls")
    line.wait_for(lambda: states(line) == {"sent": 3}, 30, "what waited is sent")
    sink.wait_log("meter_freed")
    assert sink.metric("meterline_sink_meters_held") == 0 and sink.get("/readyz") == (200, "ready\n")
    assert attention(line) == {}


def test_a_refusal_makes_it_look(shop):
    """The meter was there when the sink looked, and Stripe refuses its events: what is refused waits."""
    line = shop
    add_tenants(line, *TENANTS)
    sink = line.start("sink", SINK_INTERVAL_S="1")
    line.wait_for(lambda: line.sandbox.requests(path="/v1/billing/meters"), 30, "it looked")
    fault = line.sandbox.fault("status", path="/v1/billing/meter_events", status=400, body={
        "error": {"type": "invalid_request_error", "param": "event_name", "message": "No active meter found."}})
    looks = len(line.sandbox.requests(path="/v1/billing/meters"))
    count(line, "api_calls", 70, *TENANTS)
    line.wait_for(lambda: len([r for r in line.sandbox.requests(path="/v1/billing/meters")
                               if r["path"] == "/v1/billing/meters"]) > looks, 60, "it looks again")
    assert set(states(line)) <= {"pending", "sending"}
    assert line.sandbox.end_fault(fault) > 0
    line.wait_for(lambda: states(line) == {"sent": 3}, 60, "what was refused is sent")
    assert [total(line, tenant, "api_calls") for tenant in TENANTS] == [70, 70, 70]
    assert sink.ready()


@pytest.mark.parametrize("formula, more, words", [
    ("last", {}, "has formula last, not sum"),
    ("count", {}, "has formula count, not sum"),
    ("sum", {"customer_mapping": {"type": "by_id", "event_payload_key": "customer"}}, "by the key customer"),
    ("sum", {"value_settings": {"event_payload_key": "tokens"}}, "by the key tokens"),
    ("sum", {"event_time_window": "hour"}, "event_time_window hour"),
])
def test_a_meter_that_would_bill_otherwise_gets_nothing(shop, formula, more, words):
    line = shop
    customers_only(line)
    make_meter(line, "api_calls", formula, **more)
    count(line, "api_calls", 70, *TENANTS)
    fails(line)
    assert words in held(line)["api_calls"]
    assert states(line) == {"pending": 3} and line.sandbox.totals() == []


def test_an_archived_meter_holds_until_it_is_active_again(shop):
    line = shop
    customers_only(line)
    meter = make_meter(line, "api_calls")
    line.sandbox.api("POST", f"/v1/billing/meters/{meter}/deactivate")
    count(line, "api_calls", 70, *TENANTS)
    fails(line)
    assert "archived" in held(line)["api_calls"] and states(line) == {"pending": 3}
    line.sandbox.api("POST", f"/v1/billing/meters/{meter}/reactivate")
    once(line)
    assert states(line) == {"sent": 3}


def test_a_refusal_that_stripe_kept_for_the_key_does_not_outlive_its_cause(shop):
    """There was no meter when the first try came: Stripe answers its key with that for a day. Here the sink may not list
    meters either, so that nothing holds the usage back."""
    line = shop
    customers_only(line)
    line.sandbox.fault("status", path="/v1/billing/meters", method="GET", status=403)
    count(line, "api_calls", 70, "acme")
    sink = line.start("sink", SINK_INTERVAL_S="1")
    line.wait_for(lambda: line.value("SELECT max(spent_keys) FROM usage_submissions"), 60, "a key is spent")
    make_meter(line, "api_calls")
    line.wait_for(lambda: states(line) == {"sent": 1}, 120, "it is sent")
    assert total(line, "acme", "api_calls") == 70
    keys = keys_of(line, "/v1/billing/meter_events")
    assert len(keys) > 1 and keys == keys_made_of(line.value("SELECT identifier FROM usage_submissions"), len(keys))
    sink.term()
