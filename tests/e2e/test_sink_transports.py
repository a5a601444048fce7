"""The sink's transports through the sandbox: the stream of meter events, and usage records."""

import json
import signal
import socket
import ssl
import subprocess
import threading

import pytest

from line.paths import ROOT
from support.sink_shop import (
    LEGACY, add_tenants, count, finalize, forget_leases, is_sent, keys_made_of, keys_of, once, open_shop, states,
    submit, subscribe, subscribe_legacy, total, use_transport)
SESSION = "/v2/billing/meter_event_session"
STREAM = "/v2/billing/meter_event_stream"
ITEMS = "/v1/subscription_items"


@pytest.fixture
def shop(line):
    return open_shop(line)


def stream_calls(line):
    """The events of each call of the stream, answered or not."""
    return [json.loads(request["body"])["events"] for request in line.sandbox.requests(path=STREAM)]


def assert_one_body_each(line):
    """No identifier was ever sent with two bodies."""
    bodies = {}
    for events in stream_calls(line):
        for event in events:
            known = bodies.setdefault(event["identifier"], event)
            assert known == event
    return bodies


# The stream.

def test_the_stream_carries_a_hundred_events_a_call(shop):
    tenants = [f"t{n}" for n in range(250)]
    add_tenants(shop, *tenants)
    use_transport(shop, "meter_event_stream", "llm_tokens", "storage_gb")
    count(shop, "llm_tokens", "7.5", *tenants)
    count(shop, "storage_gb", "3", *tenants)
    count(shop, "api_calls", "2", *tenants[:10])
    once(shop)
    assert states(shop) == {"sent": 510}
    calls = stream_calls(shop)
    assert sum(map(len, calls)) == 500 and max(map(len, calls)) == 100 and len(calls) <= 10
    assert len(shop.sandbox.requests(path=SESSION)) == 1
    assert len(shop.sandbox.requests(path="/v1/billing/meter_events")) == 10
    values = {row["event_name"]: set() for row in shop.sandbox.totals()}
    for row in shop.sandbox.totals():
        values[row["event_name"]].add((row["value"], row["events"]))
    assert values == {"llm_tokens": {("7", 1)}, "storage_gb": {("3", 1)}, "api_calls": {("2", 1)}}
    sent = shop.sql("SELECT identifier, body, request_id FROM usage_submissions "
                    "WHERE transport = 'meter_event_stream'")
    bodies = assert_one_body_each(shop)
    assert all(bodies[row.identifier] == json.loads(row.body) for row in sent)
    assert all(row.request_id.startswith("req_") for row in sent)


def test_corrections_and_rising_values_go_through_the_stream(shop):
    add_tenants(shop, "acme")
    use_transport(shop, "meter_event_stream", "api_calls", "storage_gb")
    for quantity, expected in [("100", 100), ("250.5", 250), ("240", 240)]:
        count(shop, "api_calls", quantity, "acme")
        count(shop, "storage_gb", quantity, "acme")
        once(shop)
        assert total(shop, "acme", "api_calls") == expected
        assert total(shop, "acme", "storage_gb") == expected
    assert [e["value"] for e in shop.sandbox.meter_events(event_name="api_calls")] == [
        "100", "150", "-10"]


@pytest.mark.parametrize("fault", [
    {"fault": "drop_after_apply"},
    {"fault": "drop_before_apply"},
    {"fault": "hang"},
    {"fault": "status", "status": 500, "applied": True},
    {"fault": "status", "status": 503, "body": "<html>busy</html>"},
    {"fault": "status", "status": 429},
    {"fault": "status", "status": 200, "body": "<html>log in to the hotel</html>"},
    # Two batches may be under way, and a first refusal of a session is no delay.
    {"fault": "status", "status": 401, "times": 4, "body": {"error": {
        "type": "temporary_session_expired", "code": "billing_meter_event_session_expired"}}},
], ids=lambda f: "-".join(str(v) for k, v in f.items() if k not in ("body", "times")))
def test_a_batch_that_fails_goes_out_again_with_the_same_bytes(shop, fault):
    tenants = [f"t{n}" for n in range(30)]
    add_tenants(shop, *tenants)
    use_transport(shop, "meter_event_stream", "llm_tokens")
    count(shop, "llm_tokens", "5", *tenants)
    shop.sandbox.fault(path=STREAM, **{"times": 2, **fault})
    sink = shop.start_sink(SINK_INTERVAL_S=1, SINK_TIMEOUT_MS=500)
    shop.wait_for(is_sent(shop, 30))
    sink.wait_log("send_delayed")
    assert all(total(shop, tenant, "llm_tokens") == 5 for tenant in ("t0", "t29"))
    assert len(assert_one_body_each(shop)) == 30
    assert {e["status"] for e in shop.sandbox.meter_events()} == {"aggregated"}
    assert not sink.logs("account_refused")
    sink.term()


def test_a_session_that_ends_in_the_middle_is_renewed_without_a_failed_try(shop):
    add_tenants(shop, "acme", "globex")  # Claimed in one page: of the same half.
    use_transport(shop, "meter_event_stream", "llm_tokens")
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    count(shop, "llm_tokens", "5", "acme", "globex")
    shop.wait_for(is_sent(shop, 2))
    shop.sandbox.clock(16 * 60)  # A token lives 15 minutes, by Stripe's clock.
    count(shop, "llm_tokens", "9", "acme", "globex")
    shop.wait_for(is_sent(shop, 4))
    assert [r["status"] for r in shop.sandbox.requests(path=STREAM)] == [200, 401, 200]
    assert len(shop.sandbox.requests(path=SESSION)) == 2
    keys = [r["headers"]["idempotency-key"] for r in shop.sandbox.requests(path=SESSION)]
    assert len(set(keys)) == 2  # With one key Stripe would give the ended session again.
    assert shop.value("SELECT max(attempts) FROM usage_submissions") == 1
    assert total(shop, "acme", "llm_tokens") == 9 and not sink.logs("account_refused")
    assert len(sink.logs("stripe_session_opened")) == 2
    sink.term()


@pytest.mark.parametrize("status", [401, 403])
def test_a_session_that_is_refused_stops_all_sending_but_for_probes(shop, status):
    add_tenants(shop, *[f"t{n}" for n in range(40)])
    use_transport(shop, "meter_event_stream", "llm_tokens")
    count(shop, "llm_tokens", "5", *shop.tenants)
    shop.sandbox.fault("status", path=SESSION, status=status)
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    sink.wait_log("account_refused")
    shop.wait_for(lambda: not sink.ready())
    assert "refuses our key" in sink.get("/readyz")[1]
    assert shop.sandbox.requests(path=STREAM) == []
    assert shop.value("SELECT count(*) FROM usage_submissions WHERE first_sent_at IS NOT NULL "
                      "AND state = 'pending'") == 0
    shop.sandbox.clear_faults()
    shop.wait_for(is_sent(shop, 40))
    assert sink.wait_log("sending_resumed")
    sink.term()


def test_a_token_that_stripe_does_not_know_is_the_accounts_refusal_if_a_fresh_one_is_neither(shop):
    add_tenants(shop, "acme")
    use_transport(shop, "meter_event_stream", "llm_tokens")
    count(shop, "llm_tokens", "5", "acme")
    fault = {"error": {"type": "invalid_request_error", "code": "invalid_api_key"}}
    shop.sandbox.fault("status", path=STREAM, status=401, body=fault, times=1)
    once(shop)
    assert states(shop) == {"sent": 1}
    shop.sandbox.fault("status", path=STREAM, status=401, body=fault)
    count(shop, "llm_tokens", "6", "acme")
    done = shop.run("meterline-sink", "--once")
    assert done.returncode == 1 and "event=account_refused" in done.stderr
    assert states(shop) == {"sent": 1, "pending": 1}


def test_one_bad_event_among_a_hundred_fails_alone(shop):
    tenants = [f"t{n:02}" for n in range(100)]
    add_tenants(shop, *tenants)
    use_transport(shop, "meter_event_stream", "llm_tokens")
    count(shop, "llm_tokens", "5", *tenants)
    sink = shop.start_sink(SINK_INTERVAL_S=1, STRIPE_API_BASE="http://127.0.0.1:1")
    shop.wait_for(lambda: states(shop) == {"pending": 100})
    sink.term()
    shop.sql("""UPDATE usage_submissions SET body = '{"event_name":"llm_tokens","payload":7}'
                 WHERE tenant = 't63'""")
    once(shop)
    assert states(shop) == {"sent": 99, "failed": 1}
    failed = shop.sql("SELECT tenant, last_error FROM usage_submissions WHERE state = 'failed'")
    assert failed[0].tenant == "t63" and "HTTP 400" in failed[0].last_error
    assert {row["value"] for row in shop.sandbox.totals()} == {"5"}
    calls = [len(events) for events in stream_calls(shop)]
    assert calls[0] == 100 and len(calls) <= 11  # Halves, not one by one.


def test_a_kill_after_a_batch_was_applied_bills_each_once(shop):
    tenants = [f"t{n}" for n in range(50)]
    add_tenants(shop, *tenants)
    use_transport(shop, "meter_event_stream", "llm_tokens")
    count(shop, "llm_tokens", "5", *tenants)
    sink = shop.start_sink(SINK_INTERVAL_S=1, METERLINE_TEST_CRASH="after_apply")
    assert sink.wait_exit() == -signal.SIGKILL
    assert shop.sandbox.meter_events() and "sent" not in states(shop)
    forget_leases(shop)
    once(shop)
    assert states(shop) == {"sent": 50} and len(shop.sandbox.meter_events()) == 50
    assert len(assert_one_body_each(shop)) == 50


def test_a_later_event_of_the_stream_never_overtakes_one_that_waits(shop):
    add_tenants(shop, "acme")
    use_transport(shop, "meter_event_stream", "storage_gb")
    count(shop, "storage_gb", "5", "acme")
    shop.sandbox.fault("status", path=STREAM, status=500, times=3)
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    sink.wait_log("send_delayed")
    count(shop, "storage_gb", "6", "acme")
    shop.wait_for(is_sent(shop, 2))
    assert [e["value"] for e in shop.sandbox.meter_events()] == ["5", "6"]
    assert all(len(events) == 1 for events in stream_calls(shop))
    sink.term()


def test_an_event_without_an_answer_for_23_hours_is_in_doubt(shop):
    add_tenants(shop, "acme")
    use_transport(shop, "meter_event_stream", "llm_tokens")
    count(shop, "llm_tokens", "5", "acme")
    shop.sandbox.fault("drop_after_apply", path=STREAM)
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    sink.wait_log("send_delayed")
    sink.kill9()
    shop.sql("""UPDATE usage_submissions SET state = 'pending', next_attempt_at = now(),
                first_sent_at = now() - interval '23 hours 1 minute'""")
    tries = len(shop.sandbox.requests(path=STREAM))
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    sink.wait_log("send_doubted")
    assert states(shop) == {"in_doubt": 1} and len(stream_calls(shop)) == tries
    sink.term()


def plan_nodes(node):
    yield node
    for child in node.get("Plans", ()):
        yield from plan_nodes(child)


def test_picking_goes_lane_by_lane_whatever_statistics_say(shop):
    """They may have been gathered while nothing was open; then thousands of open rows look like one,
    and a plan that reads them all for each lane looks good."""
    fill = """INSERT INTO usage_submissions (identifier, tenant, metric, transport, stripe_customer_id,
                  event_name, period_start, claim, usage_at, quantity, body, state)
              SELECT concat(%s::text, g), concat('t', g), 'm', 'meter_events', concat('cus_', g), 'm',
                     now(), %s, minute_of(now()) - %s * interval '1 minute', 1, repeat('x', 200), %s
                FROM generate_series(1, %s) g"""
    shop.sql(fill, "ml-sent-", 1, 1, "sent", 20000)
    shop.sql("VACUUM ANALYZE usage_submissions")
    shop.sql(fill, "ml-open-", 2, 2, "pending", 2000)
    shop.sql("SET ROLE meterline_sink")
    shop.sql("PREPARE pick (text, int8, int8, text, text, text[], int8[], bool[]) AS "
             + (ROOT / "sink/sql/pick_submissions.sql").read_text(encoding="utf-8"))
    plan = shop.value("""EXPLAIN (FORMAT json)
        EXECUTE pick ('o', 50000, 6400, '', '', ARRAY['meter_events'], ARRAY[100], ARRAY[false])""")
    scans = [node for node in plan_nodes(plan[0]["Plan"])
             if node.get("Relation Name") == "usage_submissions" and "Scan" in node["Node Type"]]
    assert {(scan["Node Type"], scan.get("Index Name")) for scan in scans} == {
        ("Index Scan", "usage_submissions_open"), ("Tid Scan", None)}
    for scan in scans:
        assert "stripe_customer_id" in scan.get("Index Cond", "") or scan["Node Type"] == "Tid Scan", scan


def test_sigterm_hands_back_a_batch_that_does_not_end(shop):
    tenants = [f"t{n}" for n in range(5)]
    add_tenants(shop, *tenants)
    use_transport(shop, "meter_event_stream", "llm_tokens")
    count(shop, "llm_tokens", "5", *tenants)
    shop.sandbox.fault("hang", path=SESSION, times=1)
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    shop.wait_for(lambda: shop.sandbox.requests(path=SESSION))
    sink.term()
    assert states(shop) == {"pending": 5}
    # Nothing of theirs was on its way yet.
    assert shop.value("SELECT count(first_sent_at) FROM usage_submissions") == 0


# Usage records.

def records(line):
    """What Stripe holds: item -> total."""
    rows = line.sandbox.control("GET", "/totals")["usage_records"]
    return {row["subscription_item"]: int(row["value"]) for row in rows}


def test_usage_records_add_up_on_their_item(shop):
    """What was counted too much is held against what comes next, since a record takes no less."""
    items = {t: item for t, (_, item) in subscribe_legacy(shop, "acme", "other").items()}
    use_transport(shop, "usage_records", "api_calls")
    count(shop, "api_calls", "999999999999999", "other")
    for quantity, expected in [("5", 5), ("12.9", 12), ("10", 12), ("16", 16)]:
        count(shop, "api_calls", quantity, "acme")
        once(shop)
        assert records(shop) == {items["acme"]: expected, items["other"]: 999999999999999}
    assert "pending" not in states(shop)
    requests = [r for r in shop.sandbox.requests(path=ITEMS) if r["method"] == "POST"]
    assert len(requests) == 4 and {r["headers"]["stripe-version"] for r in requests} == {LEGACY}
    quantities = [r["body"].split("&")[0] for r in requests if items["acme"] in r["path"]]
    assert quantities == ["quantity=5", "quantity=7", "quantity=4"]


@pytest.mark.parametrize("fault", [
    {"fault": "drop_after_apply"},
    {"fault": "drop_before_apply"},
    {"fault": "hang"},
    {"fault": "status", "status": 503, "body": "<html>busy</html>"},
    {"fault": "status", "status": 500, "applied": True, "stored": False},
    {"fault": "status", "status": 429},
    {"fault": "status", "status": 409},
    {"fault": "status", "status": 200, "body": '{"object":"usage_record","quantity":4}'},
    {"fault": "delay", "delay_ms": 1500},
], ids=lambda f: "-".join(str(v) for k, v in f.items() if k != "body"))
def test_an_increment_is_repeated_by_its_key_and_counts_once(shop, fault):
    [(_, item)] = subscribe_legacy(shop, "acme").values()
    use_transport(shop, "usage_records", "api_calls")
    count(shop, "api_calls", "5", "acme")
    shop.sandbox.fault(path=ITEMS, times=2, **fault)
    sink = shop.start_sink(SINK_INTERVAL_S=1, SINK_TIMEOUT_MS=500)
    shop.wait_for(is_sent(shop, 1))
    sink.wait_log("send_delayed")
    assert records(shop) == {item: 5}
    tries = shop.sandbox.requests(path=ITEMS)
    assert len(tries) > 2
    assert {(r["headers"]["idempotency-key"], r["body"]) for r in tries} == {
        tuple(shop.sql("SELECT identifier, body FROM usage_submissions")[0])}
    sink.term()


def test_an_increment_whose_refusal_stripe_kept_has_another_key_and_counts_once(shop):
    """Its minute was ahead of Stripe's clock: the key has that answer for a day, the minute is over soon."""
    [(_, item)] = subscribe_legacy(shop, "acme").values()
    use_transport(shop, "usage_records", "api_calls")
    count(shop, "api_calls", "5", "acme")
    early = {"error": {"type": "invalid_request_error", "param": "timestamp",
                       "message": "Cannot create the usage record with this timestamp in the future."}}
    shop.sandbox.fault(path=ITEMS, fault="status", status=400, stored=True, times=1, body=early)
    once(shop)
    assert states(shop) == {"sent": 1} and records(shop) == {item: 5}
    assert keys_of(shop, ITEMS) == keys_made_of(shop.value("SELECT identifier FROM usage_submissions"), 2)


def test_a_kill_after_an_increment_was_applied_counts_it_once(shop):
    [(_, item)] = subscribe_legacy(shop, "acme").values()
    use_transport(shop, "usage_records", "api_calls")
    count(shop, "api_calls", "5", "acme")
    sink = shop.start_sink(SINK_INTERVAL_S=1, METERLINE_TEST_CRASH="after_apply")
    assert sink.wait_exit() == -signal.SIGKILL
    assert records(shop) == {item: 5} and states(shop) == {"sending": 1}
    forget_leases(shop)
    once(shop)
    assert states(shop) == {"sent": 1} and records(shop) == {item: 5}


def test_an_increment_is_never_repeated_past_the_life_of_its_key(shop):
    [(_, item)] = subscribe_legacy(shop, "acme").values()
    use_transport(shop, "usage_records", "api_calls")
    count(shop, "api_calls", "5", "acme")
    shop.sandbox.fault("drop_after_apply", path=ITEMS)
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    sink.wait_log("send_delayed")
    sink.kill9()
    shop.sandbox.clear_faults()
    shop.sandbox.clock(25 * 3600)  # Stripe has forgotten the key.
    shop.sql("""UPDATE usage_submissions SET state = 'pending', next_attempt_at = now(),
                first_sent_at = now() - interval '23 hours 1 minute'""")
    once(shop)
    assert states(shop) == {"in_doubt": 1} and records(shop) == {item: 5}


def test_a_key_that_was_used_for_another_increment_is_in_doubt(shop):
    """Only the database as it was before a restore can have used it."""
    [(_, item)] = subscribe_legacy(shop, "acme").values()
    shop.sandbox.api("POST", f"{ITEMS}/{item}/usage_records", {"quantity": 4}, version=LEGACY,
                     idempotency_key="ml-acme-1")
    submit(shop, "acme", item, 5)
    once(shop)
    assert states(shop) == {"in_doubt": 1} and records(shop) == {item: 4}


def test_usage_before_stripes_period_and_of_an_ended_subscription_is_late(shop):
    """Our tables do not know it yet; Stripe tells."""
    made = subscribe_legacy(shop, "acme", "gone", days=0, known=False)
    for tenant, (_, item) in made.items():
        submit(shop, tenant, item, 5, minutes=3)
    shop.sandbox.api("DELETE", f"/v1/subscriptions/{made['gone'][0]}", version=LEGACY)
    done = once(shop)
    assert states(shop) == {"late": 2} and records(shop) == {}
    assert done.stderr.count("event=send_expired") == 2
    told = {row.tenant: row.last_error for row in shop.sql(
        "SELECT tenant, last_error FROM usage_submissions")}
    assert "last invoice period" in told["acme"] and "canceled" in told["gone"]


def test_a_refused_item_fails_without_a_call_and_the_lane_goes_on(shop):
    [(_, item)] = subscribe_legacy(shop, "acme").values()
    submit(shop, "acme", None, 5, claim=1, minutes=5)
    submit(shop, "acme", "si_1/../../v1/charges", 6, claim=2, minutes=4)
    submit(shop, "acme", item, 7, claim=3, minutes=3)
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    shop.wait_for(lambda: states(shop) == {"failed": 2, "sent": 1})
    assert records(shop) == {item: 7}
    assert [r["path"] for r in shop.sandbox.requests(path="/v1/") if "usage_records" in r["path"]] \
        == [f"{ITEMS}/{item}/usage_records"]
    sink.term()


# What was never sent, and comes too late meanwhile.

def close_period(line, tenant, minutes):
    """A subscription of that tenant's whose period ended so many minutes ago."""
    subscribe(line, tenant, f"minute_of(now() - interval '{minutes} minutes') - interval '1 month'")


def test_a_record_whose_period_is_over_is_late_and_not_sent(shop):
    """Usage records have no grace: not even before the invoice is final."""
    made = subscribe_legacy(shop, "acme", "tried", known=False)
    for tenant in made:
        close_period(shop, tenant, minutes=5)
        submit(shop, tenant, made[tenant][1], 5, minutes=9)
    # Stripe may hold it: only its key can tell, and goes on being asked.
    shop.sql("UPDATE usage_submissions SET first_sent_at = now() WHERE tenant = 'tried'")
    done = once(shop)
    assert states(shop) == {"late": 1, "sent": 1}
    assert "event=send_expired" in done.stderr and "its billing period is over" in done.stderr
    assert records(shop) == {made["tried"][1]: 5}
    assert len(shop.sandbox.requests(path=ITEMS + "/")) == 1
    assert shop.value("SELECT first_sent_at FROM usage_submissions WHERE state = 'late'") is None


@pytest.mark.parametrize("transport", ["meter_events", "meter_event_stream"])
def test_an_event_whose_invoice_became_final_is_late_and_not_sent(shop, transport):
    add_tenants(shop, "final", "draft", "tried")
    use_transport(shop, transport, "llm_tokens")
    for tenant in shop.tenants:
        close_period(shop, tenant, minutes=90)
        shop.sql("""
            INSERT INTO usage_totals (tenant, metric, period_start, period_end, quantity, version,
                                      last_ms, last_entry)
            SELECT tenant, 'llm_tokens', current_period_start, current_period_end, 5,
                   nextval('usage_version'), 0, '' FROM subscriptions WHERE tenant = %s""", tenant)
    away = shop.start_sink(SINK_INTERVAL_S=1, STRIPE_API_BASE="http://127.0.0.1:1")
    shop.wait_for(lambda: states(shop) == {"pending": 3})
    away.term()
    shop.sql("UPDATE usage_submissions SET first_sent_at = now() WHERE tenant = 'tried'")
    finalize(shop, "final")
    finalize(shop, "tried")
    done = once(shop)
    assert {row.tenant: row.state for row in shop.sql(
        "SELECT tenant, state FROM usage_submissions")} == {
            "final": "late", "draft": "sent", "tried": "sent"}
    assert total(shop, "final", "llm_tokens") == 0 and total(shop, "draft", "llm_tokens") == 5
    assert "the invoice of its billing period is final" in done.stderr


# The way there.

class Impostor:
    """A TLS server with a certificate that nobody vouches for."""

    def __init__(self, folder):
        pem = folder / "impostor.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                        "-keyout", pem, "-out", folder / "cert.pem"], check=True,
                       capture_output=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "cert.pem", pem)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://localhost:{self.socket.getsockname()[1]}"
        self.tries, self.heard = 0, b""
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                plain, _ = self.socket.accept()
            except OSError:
                return
            self.tries += 1
            try:
                with self.context.wrap_socket(plain, server_side=True) as secure:
                    self.heard += secure.recv(4096)
            except OSError:
                pass

    def close(self):
        self.socket.close()


@pytest.mark.parametrize("setting", ["STRIPE_API_BASE", "STRIPE_METER_EVENTS_BASE"])
def test_a_certificate_that_nobody_vouches_for_hears_nothing(shop, setting):
    add_tenants(shop, "acme")
    use_transport(shop, "meter_event_stream", "llm_tokens")
    count(shop, "llm_tokens", "5", "acme")
    impostor = Impostor(shop.folder)
    sink = shop.start_sink(SINK_INTERVAL_S=1, **{setting: impostor.url})
    assert sink.wait_log("sending_blocked")["err"] == "tls"
    sink.term()
    impostor.close()
    assert impostor.tries > 0 and impostor.heard == b""
    assert states(shop) == {"pending": 1}
    once(shop)
    assert states(shop) == {"sent": 1}
