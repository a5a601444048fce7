"""What the sandbox promises: Stripe's semantics where we rely on them, and faults on demand."""
import http.client
import json
import signal
import threading
import time

import pytest

from sandbox.client import KEY, Sandbox, wait_for
from sandbox.receiver import Receiver

EVENTS = "/v1/billing/meter_events"
LEGACY = "2024-06-20"
DAY_S = 86400


@pytest.fixture
def sandbox():
    with Sandbox.start(rate_per_s=0, webhook_retry_ms="20,20") as sandbox:
        yield sandbox


@pytest.fixture
def acme(sandbox):
    """A customer of a sandbox with one meter of each formula."""
    meters = [{"event_name": f, "formula": f} for f in ("sum", "count", "last")]
    return sandbox.bootstrap(meters=meters, tenants=["acme"])["tenants"]["acme"]["customer"]


def usage(customer, value="1", event_name="sum", **fields):
    return {"event_name": event_name, "payload": {"stripe_customer_id": customer, "value": value},
            **fields}


def post_usage(sandbox, *args, idempotency_key=None, **fields):
    return sandbox.api("POST", EVENTS, usage(*args, **fields), idempotency_key=idempotency_key)


def events(sandbox, type):
    return sandbox.api("GET", "/v1/events", {"type": type}).json["data"]


def meter_ids(sandbox):
    return {m["event_name"]: m["id"] for m in sandbox.api("GET", "/v1/billing/meters").json["data"]}


def in_background(function, *args, **fields):
    """Starts a call; -> (thread, list that will hold its answer)."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(function(*args, **fields)), daemon=True)
    thread.start()
    return thread, answers


# Start, stop and keys

def test_stops_at_once_with_0():
    sandbox = Sandbox.start()
    assert sandbox.stop() == 0


def test_a_seed_repeats_ids():
    made = []
    for _ in range(2):
        with Sandbox.start(seed=7) as sandbox:
            made.append(sandbox.api("POST", "/v1/customers").json["id"])
    assert made[0] == made[1]


@pytest.mark.parametrize("key", [None, "sk_live_1234567890", "sk_test_", "pk_test_1"])
def test_other_keys_are_refused(sandbox, key):
    answer = sandbox.api("GET", "/v1/customers", key=key)
    assert answer.status == 401 and answer.error["type"] == "invalid_request_error"
    assert answer.headers["Request-Id"].startswith("req_")


def test_key_as_basic_user(sandbox):
    basic = {"Authorization": "Basic c2tfdGVzdF94Og=="}      # sk_test_x:
    assert sandbox.api("GET", "/v1/customers", key=None, headers=basic).status == 200


# Shapes

def test_error_shapes(sandbox):
    missing = sandbox.api("GET", "/v1/customers/cus_x")
    assert missing.status == 404
    assert (missing.error["code"], missing.error["param"]) == ("resource_missing", "id")
    unknown = sandbox.api("GET", "/v1/nothing")
    assert unknown.status == 404 and "Unrecognized request URL (GET: /v1/nothing)" in \
        unknown.error["message"]
    needed = sandbox.api("POST", "/v1/products")
    assert needed.status == 400 and needed.error["code"] == "parameter_missing"
    extra = sandbox.api("POST", "/v1/customers", {"shoe_size": 4})
    assert extra.status == 400 and extra.error["code"] == "parameter_unknown"


def test_every_answer_names_request_and_version(sandbox):
    answer = sandbox.api("GET", "/v1/customers", version=LEGACY)
    assert answer.headers["Stripe-Version"] == LEGACY and answer.headers["Date"]
    assert sandbox.api("GET", "/v1/customers").headers["Stripe-Version"] == "2026-10-28.endive"


def test_raw_and_escaped_brackets_are_the_same(sandbox):
    headers = {"Authorization": "Bearer " + KEY}
    for body in (b"metadata[tenant]=a+b%26c", b"metadata%5Btenant%5D=a%20b%26c"):
        answer = sandbox.send("POST", "/v1/customers", body, headers)
        assert answer.json["metadata"] == {"tenant": "a b&c"}


def test_lookup_key_moves_only_when_asked(sandbox):
    product = sandbox.api("POST", "/v1/products", {"name": "x", "id": "prod_x"}).json["id"]
    price = {"currency": "usd", "unit_amount": 1, "product": product, "lookup_key": "pro"}
    first = sandbox.api("POST", "/v1/prices", price).json["id"]
    assert sandbox.api("POST", "/v1/prices", price).status == 400
    second = sandbox.api("POST", "/v1/prices", {**price, "transfer_lookup_key": True}).json["id"]
    found = sandbox.api("GET", "/v1/prices", {"lookup_keys": ["pro"]}).json["data"]
    assert [p["id"] for p in found] == [second] != [first]


def test_metered_price_needs_a_meter_since_basil(sandbox):
    product = sandbox.api("POST", "/v1/products", {"name": "x"}).json["id"]
    price = {"currency": "usd", "unit_amount": 1, "product": product,
             "recurring": {"interval": "month", "usage_type": "metered"}}
    assert sandbox.api("POST", "/v1/prices", price).status == 400
    assert sandbox.api("POST", "/v1/prices", price, version=LEGACY).status == 200


@pytest.mark.parametrize("path", ["customers", "products", "prices", "subscriptions",
                                  "webhook_endpoints", "billing/meters", "billing/meter_events",
                                  "billing/meter_event_adjustments"])
@pytest.mark.parametrize("body", [
    b"event_name[x]=1&payload[value]=1&type[0]=x", b"a[=1", b"items=1&customer[x]=1&payload=1",
    b"name[0]=x&currency[0]=usd&url[0]=x&enabled_events=x&display_name[0]=x", b"\xff\xfe=%zz"])
def test_odd_shapes_are_refused(sandbox, path, body):
    answer = sandbox.send("POST", "/v1/" + path, body, {"Authorization": "Bearer " + KEY})
    assert answer.status == 400 and answer.error["type"] == "invalid_request_error"


# Periods

def test_month_ends_are_clamped(sandbox):
    """Anchored on a 31st, a period ends on the last day of a shorter month."""
    sandbox.bootstrap(price_lookup_key="base", tenants=["x"])
    price = sandbox.api("GET", "/v1/prices", {"lookup_keys": ["base"]}).json["data"][0]["id"]
    customer = sandbox.api("POST", "/v1/customers").json["id"]
    jan_31 = 1769860800      # 2026-01-31T12:00:00Z
    sandbox.clock(jan_31 - int(time.time()) + DAY_S)
    sub = sandbox.api("POST", "/v1/subscriptions", {
        "customer": customer, "items": [{"price": price}], "backdate_start_date": jan_31}).json
    item = sub["items"]["data"][0]
    assert item["current_period_start"] == jan_31
    assert item["current_period_end"] == jan_31 + 28 * DAY_S      # 2026-02-28T12:00:00Z


def test_clock_opens_the_next_period(sandbox):
    sub_id = sandbox.bootstrap(tenants=["acme"])["tenants"]["acme"]["subscription"]
    before = sandbox.api("GET", "/v1/subscriptions/" + sub_id).json["items"]["data"][0]
    sandbox.clock(32 * DAY_S)
    sub = sandbox.api("GET", "/v1/subscriptions/" + sub_id).json
    assert sub["items"]["data"][0]["current_period_start"] == before["current_period_end"]
    event = events(sandbox, "customer.subscription.updated")[0]
    old = event["data"]["previous_attributes"]["items"]["data"][0]
    assert old["current_period_end"] == before["current_period_end"]


def test_a_new_anchor_begins_a_period_and_not_the_subscription(sandbox):
    started = int(time.time()) - 10 * DAY_S
    made = sandbox.bootstrap(tenants=["x"], backdate_start_date=started)["tenants"]["x"]
    path = "/v1/subscriptions/" + made["subscription"]
    assert sandbox.api("POST", path, {"billing_cycle_anchor": "now"}).status == 400, "a word of versions before endive"
    sub = sandbox.api("POST", path, {"billing_cycle_anchor": {"type": "now"}}).json
    item = sub["items"]["data"][0]
    assert item["current_period_start"] == sub["billing_cycle_anchor"] >= started + 10 * DAY_S
    assert sub["start_date"] == started


def test_cancel_at_period_end(sandbox):
    sub_id = sandbox.bootstrap(tenants=["acme"])["tenants"]["acme"]["subscription"]
    answer = sandbox.api("POST", "/v1/subscriptions/" + sub_id, {"cancel_at_period_end": True})
    assert answer.json["cancel_at"] == answer.json["items"]["data"][0]["current_period_end"]
    sandbox.clock(32 * DAY_S)
    assert sandbox.api("GET", "/v1/subscriptions/" + sub_id).json["status"] == "canceled"


# Idempotency

def test_replay(sandbox, acme):
    """The same key and parameters give the same answer and no second event."""
    first = post_usage(sandbox, acme, "5", identifier="a", idempotency_key="k")
    again = post_usage(sandbox, acme, "5", identifier="a", idempotency_key="k")
    assert again.status == 200 and again.body == first.body
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Original-Request"] == first.headers["Request-Id"]
    assert sandbox.total("acme", "sum") == 5


def test_key_with_other_parameters_or_path(sandbox, acme):
    post_usage(sandbox, acme, "5", idempotency_key="k")
    for answer in (post_usage(sandbox, acme, "6", idempotency_key="k"),
                   sandbox.api("POST", "/v1/customers", idempotency_key="k")):
        assert answer.status == 400 and answer.error["type"] == "idempotency_error"
    assert sandbox.total("acme", "sum") == 5


def test_key_in_flight(sandbox, acme):
    """While the first call with a key is worked on, a second gets 409; it is a call more in its lane."""
    sandbox.fault("delay", path=EVENTS, delay_ms=400, times=1)
    thread, first = in_background(post_usage, sandbox, acme, "5", idempotency_key="k")
    wait_for(lambda: sandbox.requests(EVENTS))
    second = post_usage(sandbox, acme, "5", idempotency_key="k")
    assert second.status == 409 and second.error["code"] == "idempotency_key_in_use"
    thread.join(10)
    assert first[0].status == 200
    assert sandbox.total("acme", "sum") == 5 and sandbox.violations() == 1


def test_refused_parameters_are_not_kept(sandbox):
    bad = sandbox.api("POST", "/v1/products", {}, idempotency_key="k")
    good = sandbox.api("POST", "/v1/products", {"name": "x"}, idempotency_key="k")
    assert (bad.status, good.status) == (400, 200)


def test_key_is_new_after_24_hours(sandbox):
    first = sandbox.api("POST", "/v1/customers", idempotency_key="k")
    sandbox.clock(DAY_S + 1)
    second = sandbox.api("POST", "/v1/customers", idempotency_key="k")
    assert first.json["id"] != second.json["id"]


# Limits

def test_rate_limit():
    """Beyond a second's worth of calls: 429, named global-rate; a key does not keep it."""
    with Sandbox.start(rate_per_s=5) as sandbox:
        answers = [sandbox.api("POST", "/v1/customers", idempotency_key="k%d" % i)
                   for i in range(20)]
        refused = [a for a in answers if a.status == 429]
        assert refused and refused[0].error["code"] == "rate_limit"
        assert refused[0].headers["Stripe-Rate-Limited-Reason"] == "global-rate"
        key = "k%d" % answers.index(refused[0])
        wait_for(lambda: sandbox.api("POST", "/v1/customers", idempotency_key=key).status == 200)


def test_default_rate_is_25(sandbox):
    with Sandbox.start() as sandbox:
        assert sandbox.control("POST", "/options", {})["rate_per_s"] == 25


def test_one_call_for_a_customer_and_meter(sandbox, acme):
    """A second call meanwhile is refused and counted; another meter is another lane."""
    sandbox.fault("delay", path=EVENTS, delay_ms=500, times=1)
    thread, first = in_background(post_usage, sandbox, acme, "5")
    wait_for(lambda: sandbox.requests(EVENTS))
    second = post_usage(sandbox, acme, "6")
    assert second.status == 429
    assert second.headers["Stripe-Rate-Limited-Reason"] == "endpoint-concurrency"
    assert post_usage(sandbox, acme, event_name="last").status == 200
    thread.join(10)
    assert first[0].status == 200 and sandbox.violations() == 1
    assert sandbox.total("acme", "sum") == 5


def test_calls_that_arrive_together_meet(sandbox, acme):
    """Even without a delay two calls in one moment of arrival are two at once."""
    body = ("event_name=sum&payload[stripe_customer_id]=%s&payload[value]=1" % acme).encode()
    connections = [http.client.HTTPConnection(sandbox.host, sandbox.port) for _ in range(8)]

    def burst():
        for c in connections:
            c.request("POST", EVENTS, body, {"Authorization": "Bearer " + KEY})
        for c in connections:
            c.getresponse().read()
        return sandbox.violations() > 0
    wait_for(burst, what="a violation")


@pytest.mark.parametrize("left", [True, False], ids=["its client has left", "its client waits"])
def test_a_call_that_is_read_late_is_held_only_against_a_client_that_waits(sandbox, acme, left):
    """A client gives up on a call that has not been read yet, and sends it again: the later one may be read
    first, by a server that was busy. Who left cannot call that back, and waits for no answer."""
    body = ("event_name=sum&payload[stripe_customer_id]=%s&payload[value]=1" % acme).encode()
    headers = {"Authorization": "Bearer " + KEY}
    sandbox.fault("delay", path=EVENTS, delay_ms=500, times=1)
    kept, late = (http.client.HTTPConnection(sandbox.host, sandbox.port) for _ in range(2))
    kept.request("GET", "/v1/customers", headers=headers)
    kept.getresponse().read()
    sandbox.process.send_signal(signal.SIGSTOP)
    try:
        late.request("POST", EVENTS, body, headers)     # To be accepted before it can be read.
        if left:
            late.close()
        kept.request("POST", EVENTS, body, headers)
    finally:
        sandbox.process.send_signal(signal.SIGCONT)
    assert kept.getresponse().status == 200
    wait_for(lambda: len(sandbox.requests(EVENTS)) == 2)
    assert (sandbox.violations(), sandbox.excused()) == ((0, 1) if left else (1, 0))
    late.close()
    kept.close()


# Faults

def test_drop_after_apply(sandbox, acme):
    """The answer is lost, the event is counted, and the key knows the answer."""
    sandbox.fault("drop_after_apply", path=EVENTS, times=1)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        post_usage(sandbox, acme, "5", identifier="a", idempotency_key="k")
    assert sandbox.total("acme", "sum") == 5
    again = post_usage(sandbox, acme, "5", identifier="a", idempotency_key="k")
    assert again.status == 200 and again.headers["Idempotent-Replayed"] == "true"
    without_key = post_usage(sandbox, acme, "5", identifier="a")
    assert without_key.error["message"] == "An event already exists with identifier a."
    assert sandbox.total("acme", "sum") == 5


def test_drop_before_apply(sandbox, acme):
    sandbox.fault("drop_before_apply", path=EVENTS, times=1)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        post_usage(sandbox, acme, "5", identifier="a", idempotency_key="k")
    assert sandbox.totals() == []
    assert "Idempotent-Replayed" not in post_usage(sandbox, acme, "5", identifier="a",
                                                   idempotency_key="k").headers
    assert [seen["status"] for seen in sandbox.identifiers("a")] == [None, 200]


def test_500_without_applying_is_not_kept(sandbox, acme):
    sandbox.fault("status", path=EVENTS, status=500, applied=False, times=1)
    assert post_usage(sandbox, acme, "5", idempotency_key="k").status == 500
    assert sandbox.totals() == []
    assert post_usage(sandbox, acme, "5", idempotency_key="k").status == 200


def test_500_after_execution_began_is_kept(sandbox, acme):
    """Stripe gives a stored 500 again, although the work was done."""
    sandbox.fault("status", path=EVENTS, status=500, applied=True, times=1)
    for _ in range(2):
        assert post_usage(sandbox, acme, "5", idempotency_key="k").status == 500
    assert sandbox.total("acme", "sum") == 5


def test_502_from_a_proxy_hides_a_kept_success(sandbox, acme):
    sandbox.fault("status", path=EVENTS, status=502, applied=True, stored=False, times=1,
                  body="<html>", headers={"Stripe-Should-Retry": "true"})
    first = post_usage(sandbox, acme, "5", idempotency_key="k")
    assert (first.status, first.body) == (502, b"<html>")
    assert first.headers["Stripe-Should-Retry"] == "true"
    assert post_usage(sandbox, acme, "5", idempotency_key="k").status == 200
    assert sandbox.total("acme", "sum") == 5


def test_hang_frees_everything_when_the_client_leaves(sandbox, acme):
    sandbox.fault("hang", path=EVENTS, times=1)
    with pytest.raises(TimeoutError):
        sandbox.api("POST", EVENTS, usage(acme, "5"), idempotency_key="k", timeout_s=0.2)
    assert sandbox.totals() == []
    assert wait_for(lambda: post_usage(sandbox, acme, "5", idempotency_key="k").status == 200)
    assert sandbox.violations() == 0


def test_faults_are_counted_and_cleared(sandbox, acme):
    sandbox.fault("status", method="POST", path="/v1/", status=503, times=2)
    statuses = [post_usage(sandbox, acme).status for _ in range(3)]
    assert statuses == [503, 503, 200] and sandbox.faults()[0]["fired"] == 2
    assert sandbox.api("GET", "/v1/customers").status == 200
    endless = sandbox.fault("status", method="POST", path="/v1/", status=503)
    assert post_usage(sandbox, acme).status == 503 and sandbox.end_fault(endless) == 1
    assert post_usage(sandbox, acme).status == 200
    sandbox.clear_faults()
    assert sandbox.faults() == []


def test_probability(sandbox):
    sandbox.fault("status", path="/v1/", status=503, probability_percent=50)
    statuses = {sandbox.api("GET", "/v1/account").status for _ in range(60)}
    assert statuses == {200, 503}


def test_an_idle_connection_goes_stale(sandbox):
    """What is sent on it after the answer is never looked at."""
    sandbox.fault("close_idle", path="/v1/account", times=1, delay_ms=100)
    client = http.client.HTTPConnection(sandbox.host, sandbox.port)
    headers = {"Authorization": "Bearer " + KEY}
    client.request("GET", "/v1/account", headers=headers)
    assert client.getresponse().read()
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        client.request("GET", "/v1/customers", headers=headers)
        client.getresponse()
    assert not sandbox.requests("/v1/customers")
    assert sandbox.api("GET", "/v1/account").status == 200


def test_refused_later_on_demand(sandbox, acme):
    """And the answer may be lost as well."""
    sandbox.fault("reject", path=EVENTS, code="archived_meter", times=1)
    sandbox.fault("drop_after_apply", path=EVENTS, times=1)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        post_usage(sandbox, acme, "5", identifier="a")
    assert post_usage(sandbox, acme, "7", identifier="b").status == 200
    assert [(e["status"], e["code"]) for e in sandbox.meter_events()] == [
        ("rejected", "archived_meter"), ("aggregated", None)]
    assert sandbox.total("acme", "sum") == 7


def test_identifiers_that_came_with_several_bodies(sandbox, acme):
    for identifier, value in [("a", "5"), ("a", "5"), ("b", "5"), ("b", "6")]:
        post_usage(sandbox, acme, value, identifier=identifier)
    found = sandbox.all_identifiers()
    assert (found["identifiers"], found["requests"]) == (2, 4)
    assert list(found["differing"]) == ["b"] and len(found["differing"]["b"]) == 2


def test_identifiers_of_a_batch_are_compared_one_by_one(sandbox, acme):
    token = sandbox.api("POST", "/v2/billing/meter_event_session").json["authentication_token"]
    one, two = usage(acme, "5", identifier="a"), usage(acme, "6", identifier="b")
    for batch in ([one, two], [two], [usage(acme, "7", identifier="a")]):
        sandbox.api("POST", "/v2/billing/meter_event_stream", {"events": batch}, key=token)
    assert list(sandbox.all_identifiers()["differing"]) == ["a"]


# Meter events

@pytest.mark.parametrize("value", ["1.5", "1e3", "", "abc", "+1", "0x10", " 1", "1" * 16,
                                   "-" + "9" * 16])
def test_values_that_are_refused(sandbox, acme, value):
    answer = post_usage(sandbox, acme, value)
    assert answer.status == 400 and answer.error["param"] == "payload[value]"
    assert sandbox.totals() == []


@pytest.mark.parametrize("value", ["0", "-5", "9" * 15, "-" + "9" * 15])
def test_values_that_are_taken(sandbox, acme, value):
    assert post_usage(sandbox, acme, value).status == 200
    assert sandbox.total("acme", "sum") == int(value)


@pytest.mark.parametrize("offset_s, status", [(-35 * DAY_S + 60, 200), (-35 * DAY_S - 60, 400),
                                              (240, 200), (360, 400)])
def test_timestamps(sandbox, acme, offset_s, status):
    assert post_usage(sandbox, acme, timestamp=int(time.time()) + offset_s).status == status


@pytest.mark.parametrize("fields, param", [
    ({"event_name": ""}, "event_name"), ({"event_name": "nothing"}, "event_name"),
    ({"payload": {"value": "1"}}, "payload[stripe_customer_id]"),
    ({"payload": {"stripe_customer_id": "cus_x"}}, "payload[value]"),
    ({"identifier": "x" * 101}, "identifier"), ({"timestamp": "soon"}, "timestamp")])
def test_events_that_are_refused(sandbox, acme, fields, param):
    answer = sandbox.api("POST", EVENTS, {**usage(acme), **fields})
    assert answer.status == 400 and answer.error["param"] == param


def test_identifier_is_unique_for_24_hours(sandbox, acme):
    assert post_usage(sandbox, acme, identifier="a").status == 200
    again = post_usage(sandbox, acme, identifier="a")
    assert again.status == 400 and again.error["type"] == "invalid_request_error"
    assert again.error["message"] == "An event already exists with identifier a."
    sandbox.clock(DAY_S + 1)
    assert post_usage(sandbox, acme, identifier="a").status == 200
    assert sandbox.total("acme", "sum") == 2
    assert len(sandbox.identifiers("a")) == 3


def test_formulas(sandbox, acme):
    now = int(time.time())
    for value, timestamp in (("5", now - 100), ("7", now - 50), ("-2", now - 200)):
        for event_name in ("sum", "count", "last"):
            assert post_usage(sandbox, acme, value, event_name, timestamp=timestamp).status == 200
    assert {t["event_name"]: t["value"] for t in sandbox.totals()} == \
        {"sum": "10", "count": "3", "last": "7"}
    assert {t["event_name"]: t["value"] for t in sandbox.totals(start=now - 250, end=now - 50)} == \
        {"sum": "3", "count": "2", "last": "5"}


def test_sums_are_exact(sandbox, acme):
    for _ in range(20):
        post_usage(sandbox, acme, "9" * 15)
    assert sandbox.total("acme", "sum") == 20 * (10 ** 15 - 1)


def test_event_time_window_keeps_the_newest(sandbox):
    made = sandbox.bootstrap(tenants=["acme"], meters=[
        {"event_name": "daily", "formula": "sum", "event_time_window": "day"}])
    customer = made["tenants"]["acme"]["customer"]
    day = int(time.time()) // DAY_S * DAY_S - 2 * DAY_S
    for value, timestamp in (("5", day), ("8", day + 60), ("3", day + DAY_S)):
        post_usage(sandbox, customer, value, "daily", timestamp=timestamp)
    assert sandbox.total("acme", "daily") == 11


def test_summaries(sandbox, acme):
    url = "/v1/billing/meters/%s/event_summaries" % meter_ids(sandbox)["sum"]
    hour = int(time.time()) // 3600 * 3600 - 7200
    for value, timestamp in (("1", hour), ("2", hour + 59), ("4", hour + 60), ("8", hour + 3600)):
        post_usage(sandbox, acme, value, timestamp=timestamp)

    def ask(start, end, **fields):
        return sandbox.api("GET", url, {"customer": acme, "start_time": start, "end_time": end,
                                        **fields})
    assert [s["aggregated_value"] for s in ask(hour, hour + 60).json["data"]] == [3]
    grouped = ask(hour, hour + 7200, value_grouping_window="hour").json["data"]
    assert [(s["start_time"], s["aggregated_value"]) for s in grouped] == \
        [(hour + 3600, 8), (hour, 7)]
    page = ask(hour, hour + 7200, value_grouping_window="hour", limit=1).json
    rest = ask(hour, hour + 7200, value_grouping_window="hour",
               starting_after=page["data"][0]["id"])
    assert page["has_more"] and rest.json["data"] == grouped[1:]
    assert ask(hour + 1, hour + 60).status == 400
    assert ask(hour + 60, hour + 3600, value_grouping_window="hour").status == 400


def test_cancel_an_event(sandbox, acme):
    post_usage(sandbox, acme, "5", identifier="a")
    cancel = {"event_name": "sum", "type": "cancel", "cancel": {"identifier": "a"}}
    answer = sandbox.api("POST", "/v1/billing/meter_event_adjustments", cancel)
    assert answer.status == 200 and answer.json["object"] == "billing.meter_event_adjustment"
    assert sandbox.totals() == []
    assert sandbox.api("POST", "/v1/billing/meter_event_adjustments", cancel).status == 400


def test_adjustment_only_within_24_hours(sandbox, acme):
    post_usage(sandbox, acme, "5", identifier="a")
    sandbox.clock(DAY_S + 60)
    answer = sandbox.api("POST", "/v1/billing/meter_event_adjustments", {
        "event_name": "sum", "type": "cancel", "cancel": {"identifier": "a"}})
    assert answer.status == 400 and sandbox.total("acme", "sum") == 5


def test_what_is_found_wrong_later(sandbox, acme):
    """Accepted with 200, not counted, reported by a thin event for each meter."""
    meters = meter_ids(sandbox)
    sandbox.api("POST", "/v1/billing/meters/%s/deactivate" % meters["last"])
    with Receiver() as receiver:
        sandbox.webhook(receiver.url, enabled_events=["v1.billing.meter.error_report_triggered"])
        assert post_usage(sandbox, "cus_nobody", "5", identifier="a").status == 200
        assert post_usage(sandbox, acme, "5", "last", identifier="b").status == 200
        receiver.wait(2)
    assert sandbox.totals() == []
    assert {e["identifier"]: (e["status"], e["code"]) for e in sandbox.meter_events()} == {
        "a": ("rejected", "meter_event_customer_not_found"), "b": ("rejected", "archived_meter")}
    for delivery in sandbox.deliveries():
        report = sandbox.api("GET", "/v2/core/events/" + delivery["event"]).json
        assert report["data"]["reason"]["error_count"] == 1
        assert report["related_object"]["id"] in meters.values()


def test_a_report_names_samples(sandbox):
    def named():
        data = sandbox.control("GET", "/deliveries")["deliveries"][-1]
        report = sandbox.api("GET", "/v2/core/events/" + data["event"]).json["data"]["reason"]
        return report["error_count"], len(report["error_types"][0]["sample_errors"])

    sandbox.bootstrap(meters=[{"event_name": "sum", "formula": "sum"}])
    token = sandbox.api("POST", "/v2/billing/meter_event_session").json["authentication_token"]
    batch = {"events": [usage("cus_nobody", "5") for _ in range(7)]}  # At once: a report covers a moment.
    with Receiver() as receiver:
        sandbox.webhook(receiver.url, enabled_events=["v1.billing.meter.error_report_triggered"])
        for samples, reports in ((None, 1), (100, 2)):
            if samples:
                sandbox.set(samples=samples)
            sandbox.api("POST", "/v2/billing/meter_event_stream", batch, key=token)
            receiver.wait(reports)
            assert named() == (7, samples and 7 or 5)


def test_stream_checks_later(sandbox, acme):
    """A stream session's token is its key; a batch is answered before it is checked."""
    session = sandbox.api("POST", "/v2/billing/meter_event_session").json
    batch = {"events": [usage(acme, "5", identifier="a"), usage(acme, "5", identifier="a"),
                        usage(acme, "1.5", identifier="b"),
                        usage(acme, "1", "nothing", identifier="c")]}

    def send(token):
        return sandbox.api("POST", "/v2/billing/meter_event_stream", batch, key=token)
    assert send(session["authentication_token"]).json == {}
    assert sandbox.total("acme", "sum") == 5
    assert {e["code"] for e in sandbox.meter_events()} == \
        {None, "meter_event_invalid_value", "no_meter"}
    assert send(KEY).status == 401
    sandbox.clock(16 * 60)
    late = send(session["authentication_token"])
    assert late.error["code"] == "billing_meter_event_session_expired"


# Usage records

def legacy_item(sandbox):
    product = sandbox.api("POST", "/v1/products", {"name": "x"}).json["id"]
    price = sandbox.api("POST", "/v1/prices", {
        "currency": "usd", "unit_amount": 1, "product": product,
        "recurring": {"interval": "month", "usage_type": "metered"}}, version=LEGACY).json["id"]
    customer = sandbox.api("POST", "/v1/customers").json["id"]
    sub = sandbox.api("POST", "/v1/subscriptions", {
        "customer": customer, "items": [{"price": price}],
        "backdate_start_date": int(time.time()) - 3600}, version=LEGACY).json
    return sub["id"], sub["items"]["data"][0]["id"]


def test_usage_records(sandbox):
    sub_id, item = legacy_item(sandbox)
    url = "/v1/subscription_items/%s/usage_record" % item
    now = int(time.time())

    def record(quantity, timestamp, action="increment", version=LEGACY):
        return sandbox.api("POST", url + "s", {"quantity": quantity, "timestamp": timestamp,
                                               "action": action}, version=version).status

    def total():
        return sandbox.api("GET", url + "_summaries", version=LEGACY).json["data"][0]["total_usage"]
    assert [record(5, now - 10), record(3, now - 10), record(2, now - 20)] == [200] * 3
    assert total() == 10
    assert record(1, now - 10, "set") == 200 and total() == 3
    assert record(1, now - 7200) == 400 and record(1, now + 600) == 400
    assert record(1, now - 10, version="2025-03-31.basil") == 404
    assert sandbox.control("GET", "/totals")["usage_records"][0]["value"] == "3"
    sandbox.api("DELETE", "/v1/subscriptions/" + sub_id)
    assert record(1, now - 10) == 400 and total() == 3


def test_bootstrap_with_legacy_prices(sandbox):
    made = sandbox.bootstrap(legacy=["calls", "runs"], tenants=["acme"])["tenants"]["acme"]
    assert made == sandbox.bootstrap(legacy=["calls", "runs"], tenants=["acme"])["tenants"]["acme"]
    items = sandbox.api("GET", "/v1/subscription_items", {"subscription": made["subscription"]}).json
    by_metric = {item["price"]["metadata"].get("metric"): item["id"] for item in items["data"]}
    sandbox.api("POST", f"/v1/subscription_items/{by_metric['runs']}/usage_records",
                {"quantity": 4}, version=LEGACY)
    row, = sandbox.control("GET", "/totals")["usage_records"]
    assert (row["tenant"], row["metric"], row["value"]) == ("acme", "runs", "4")


def test_a_usage_records_key_is_its_identifier(sandbox):
    _, item = legacy_item(sandbox)
    path, now = f"/v1/subscription_items/{item}/usage_records", int(time.time())
    for quantity in (3, 3, 4):
        sandbox.api("POST", path, {"quantity": quantity, "timestamp": now}, version=LEGACY,
                    idempotency_key="k")
    found = sandbox.all_identifiers()
    assert found["requests"] == 3 and len(found["differing"]["k"]) == 2


def test_meter_backed_items_take_no_usage_records(sandbox, acme):
    sub = sandbox.api("GET", "/v1/subscriptions", {"customer": acme}).json["data"][0]
    item = [i for i in sub["items"]["data"] if i["price"]["recurring"]["meter"]][0]
    answer = sandbox.api("POST", "/v1/subscription_items/%s/usage_records" % item["id"],
                         {"quantity": 1}, version=LEGACY)
    assert answer.status == 400
    assert "not on the legacy metered billing system" in answer.error["message"]


# Webhooks

def test_deliveries_are_tried_again(sandbox):
    with Receiver(statuses=[500, 302]) as receiver:
        sandbox.webhook(receiver.url, enabled_events=["customer.created"])
        sandbox.api("POST", "/v1/customers", {"name": "x"})
        first, second, third = receiver.wait(3)
        wait_for(lambda: sandbox.deliveries()[0]["state"] == "delivered")
        assert [t["status"] for t in sandbox.deliveries()[0]["tries"]] == [500, 302, 200]
        assert sandbox.api("GET", "/v1/events").json["data"][0]["pending_webhooks"] == 0


def test_a_delivery_fails_in_the_end(sandbox):
    with Receiver(statuses=[500, 500, 500]) as receiver:
        sandbox.webhook(receiver.url)
        sandbox.api("POST", "/v1/customers", {"name": "x"})
        wait_for(lambda: sandbox.deliveries()[0]["state"] == "failed")
        undelivered = sandbox.api("GET", "/v1/events", {"delivery_success": False}).json["data"]
        assert [e["type"] for e in undelivered] == ["customer.created"]
        sandbox.redeliver(undelivered[0]["id"])
        receiver.wait(4)
        assert len({r.body for r in receiver.received[:3]}) == 1


def test_only_what_was_asked_for_is_delivered(sandbox):
    with Receiver() as receiver:
        sandbox.webhook(receiver.url, enabled_events=["product.created"])
        sandbox.api("POST", "/v1/customers", {"name": "x"})
        sandbox.api("POST", "/v1/products", {"name": "x"})
        receiver.wait(1)
        assert [d["type"] for d in sandbox.deliveries()] == ["product.created"]


def test_updates_tell_what_was_before(sandbox):
    customer = sandbox.api("POST", "/v1/customers", {
        "name": "x", "metadata": {"a": "1"}}).json["id"]
    sandbox.api("POST", "/v1/customers/" + customer, {"name": "y", "metadata": {"b": "2"}})
    event = events(sandbox, "customer.updated")[0]
    assert event["data"]["previous_attributes"] == {"name": "x", "metadata": {"b": None}}
    assert event["request"]["id"].startswith("req_")
    sandbox.api("POST", "/v1/customers/" + customer, {"name": "y"})
    assert len(events(sandbox, "customer.updated")) == 1


def test_payload_has_the_shape_of_the_endpoints_version(sandbox):
    with Receiver() as old, Receiver() as new:
        wanted = ["customer.subscription.created"]
        sandbox.webhook(old.url, enabled_events=wanted, api_version=LEGACY)
        sandbox.webhook(new.url, enabled_events=wanted)
        sandbox.bootstrap(tenants=["acme"])
        old_event, new_event = (json.loads(r.wait()[0].body) for r in (old, new))
    assert old_event["id"] == new_event["id"] and old_event["api_version"] == LEGACY
    old_sub, new_sub = (e["data"]["object"] for e in (old_event, new_event))
    assert old_sub["current_period_end"] == new_sub["items"]["data"][0]["current_period_end"]
    assert "current_period_end" not in new_sub
    assert "current_period_end" not in old_sub["items"]["data"][0]


def test_a_chosen_secret_and_a_roll(sandbox):
    """After a roll both secrets sign."""
    with Receiver() as receiver:
        endpoint = sandbox.webhook(receiver.url, secret="whsec_mine")
        assert endpoint["secret"] == "whsec_mine"
        sandbox.control("POST", "/webhook_endpoints/%s/roll" % endpoint["id"], {})
        sandbox.event("invoice.paid", {"id": "in_1", "object": "invoice", "status": "paid"})
        assert receiver.wait()[0].headers["Stripe-Signature"].count("v1=") == 2
    assert sandbox.api("GET", "/v1/invoices/in_1").json["status"] == "paid"


def test_requests_are_logged_without_the_key(sandbox):
    sandbox.api("POST", "/v1/customers", {"name": "x"}, key="sk_test_secret")
    entry = sandbox.requests("/v1/customers")[0]
    assert (entry["method"], entry["body"], entry["status"]) == ("POST", "name=x", 200)
    assert entry["headers"]["authorization"] == "Bearer ****" and "secret" not in str(entry)


def test_a_key_expires_or_may_not_do_all(sandbox):
    def status(key, method="GET", path="/v1/prices"):
        return sandbox.api(method, path, key=key).status

    assert status("rk_test_1") == status("sk_test_1") == 200
    sandbox.key("rk_test_1", refused=["GET /v1/prices", "/v1/webhook_endpoints"])
    assert (status("rk_test_1"), status("sk_test_1")) == (403, 200)
    assert status("rk_test_1", path="/v1/webhook_endpoints") == 403
    assert status("rk_test_1", "POST", "/v1/customers") == 200
    sandbox.key("sk_test_1", expired=True)
    assert (status("rk_test_1", path="/v1/customers"), status("sk_test_1")) == (200, 401)
    sandbox.key("sk_test_1")
    assert status("sk_test_1") == 200


def test_reset(sandbox, acme):
    post_usage(sandbox, acme)
    sandbox.reset()
    assert sandbox.totals() == [] and sandbox.api("GET", "/v1/customers").json["data"] == []
