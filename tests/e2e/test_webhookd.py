"""webhookd stores each signed event once and works it once, in any order, whatever dies meanwhile."""

import concurrent.futures
import http.client
import json
import socket
import time

import pytest

from line.line import TEST_WEBHOOK_SECRET
from line.paths import ROOT
from sandbox.client import Sandbox
from support.webhooks import Events, NOW, customer, deliver, post, send, signature

DAY = 86400


def subscription(id="sub_1", customer="cus_1", tenant=None, status="active", key="standard",
                 start=NOW - DAY, end=NOW + 29 * DAY, legacy=False, **more):
    """Legacy: the shape up to acacia, with the period on the subscription."""
    period = {"current_period_start": start, "current_period_end": end}
    price = {"id": f"price_{key}", "object": "price", "lookup_key": key, "product": "prod_1",
             "metadata": {}, "recurring": {"interval": "month", "interval_count": 1,
                                           "usage_type": "licensed"}}
    item = {"id": f"si_{id}", "object": "subscription_item", "price": price, "quantity": 1,
            "metadata": {}, **({} if legacy else period)}
    return {"id": id, "object": "subscription", "customer": customer, "status": status,
            "currency": "usd", "start_date": start, "billing_cycle_anchor": start,
            "cancel_at_period_end": False, "ended_at": None,
            "items": {"object": "list", "data": [item]},
            "metadata": {"tenant": tenant} if tenant else {}, **(period if legacy else {}), **more}


def thin(type="v1.billing.meter.error_report_triggered", **more):
    return {"id": "evt_thin", "object": "v2.core.event", "type": type, "livemode": False,
            "created": "2026-11-21T06:41:10.920Z", **more}


@pytest.fixture
def events():
    return Events()


@pytest.fixture
def webhookd(line):
    """Without a key: nothing is fetched, and events are believed."""
    return line.start_webhookd(STRIPE_SECRET_KEY=None).wait_ready()


@pytest.fixture
def stripe():
    with Sandbox.start(rate_per_s=0) as sandbox:
        yield sandbox


def state(line, event_id):
    rows = line.sql("SELECT state, coalesce(error, '') AS error, attempts FROM webhook_events"
                    " WHERE event_id = %s", event_id)
    return rows[0] if rows else None


def wait_state(line, event_id, wanted, timeout=30):
    return line.wait_for(lambda: (row := state(line, event_id)) and row.state == wanted and row,
                         timeout, f"{event_id} is {wanted}")


def work(line, stage, event, wanted="processed"):
    return wait_state(line, deliver(stage, event), wanted)


def plan_of(line, tenant="acme"):
    rows = line.sql("SELECT plan, status FROM subscriptions WHERE tenant = %s", tenant)
    return tuple(rows[0]) if rows else None


def limits(line, tenant="acme"):
    return line.client().hgetall(f"quota:{{{tenant}}}")


# Which requests are accepted.

def test_delivered_twice_is_stored_and_worked_once(line, webhookd, events):
    event = events.make("customer.created", customer())
    work(line, webhookd, event)
    assert post(webhookd, event)[0] == 200
    assert line.value("SELECT count(*) FROM webhook_events") == 1
    assert line.value("SELECT count(*) FROM billing_history") == 1
    assert webhookd.metric("meterline_webhook_requests_total", outcome="duplicate") == 1


def test_only_genuine_and_recent_signatures_are_accepted(line, webhookd, events):
    body = json.dumps(events.make("customer.created", customer())).encode()
    now = int(time.time())
    refused = [False, "", "t=1", f"t={now},v0={'0' * 64}", f"t={now},v1={'0' * 64}",
               signature(body, "whsec_other"), signature(body, at=now - 400),
               signature(body, sign=body + b" "), signature(body).replace("v1=", "v0="),
               "t=x," + signature(body).split(",")[1]]
    said = set()
    for header in refused:
        status, text = post(webhookd, body, header)
        assert (status, json.loads(text)["error"]["code"]) == (400, "bad_signature"), header
        said.add(text)
    assert len(said) == 1 and "whsec" not in str(said), "the answer must not say what is wrong"
    assert line.value("SELECT count(*) FROM webhook_events") == 0
    assert any("header is missing" in refused["msg"] for refused in webhookd.logs("webhook_refused"))
    both = signature(body, "whsec_other") + "," + signature(body).split(",")[1]
    assert post(webhookd, body, both)[0] == 200
    assert post(webhookd, body, signature(body, at=now - 290))[0] == 200
    assert post(webhookd, body, signature(body, at=now + 400))[0] == 200


def test_any_of_several_secrets_verifies(line, events):
    webhookd = line.start_webhookd(STRIPE_SECRET_KEY=None,
                                   STRIPE_WEBHOOK_SECRET="whsec_new,whsec_old").wait_ready()
    for secret, status in (("whsec_new", 200), ("whsec_old", 200), ("whsec_new,whsec_old", 400),
                           ("whsec_", 400), ("", 400)):
        body = json.dumps(events.make("customer.created", customer())).encode()
        assert post(webhookd, body, signature(body, secret))[0] == status, secret


def test_what_is_no_event_is_refused(line, webhookd, events):
    for body in (b"", b"{", b"[]", b"{}", b'{"id": "evt_1"}', b"\xff\xfe", b"{}" * 10,
                 b'{"id": "evt/1", "type": "a", "created": 1}',
                 b'{"id": "evt_1", "type": "a", "created": "yesterday"}'):
        status, text = post(webhookd, body)
        assert (status, json.loads(text)["error"]["code"]) == (400, "bad_event"), body
    large = json.dumps(events.make("x.y", {"id": "x_1", "text": "x" * 1_045_000})).encode()
    assert post(webhookd, large)[0] == 200
    assert post(webhookd, large + b" " * 5000)[0] == 413
    event = json.dumps(events.make("x.y", {"id": "x_2"})).encode()
    assert post(webhookd, event, method="GET")[0] == 405
    assert post(webhookd, event, method="PUT")[0] == 405
    assert post(webhookd, event, path="/webhooks")[0] == 404
    assert post(webhookd, event)[0] == 200


ODD = [r'"\u0000"', r'"\ud800"', r'"\udc00 \ud83d\ude00 \ud83dx"', "9223372036854775808", "-9223372036854775809", "1e400",
       "-1e400", "9" * 500, "[" * 5000 + "]" * 5000, '{"a":' * 2500 + "1" + "}" * 2500, "[[" * 1100 + '"]\\""' + "]]" * 1100]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_json_that_no_program_holds_is_stored_as_it_came_and_worked(line, webhookd, events, odd):
    """Stripe signs it, so it is refused for ever if it is refused once."""
    made = events.make("customer.created", customer(odd="@", metadata={"tenant": "acme", "odd": "@"}))
    body = json.dumps(made).replace('"@"', odd).encode()
    assert post(webhookd, body) == (200, '{"received":true}')
    wait_state(line, made["id"], "processed")
    assert line.value("SELECT payload FROM webhook_events").encode() == body
    assert line.value("SELECT tenant FROM billing_customers") == "acme"
    odd_tenant = json.dumps(events.make("customer.created", customer("cus_2", "@"))).replace('"@"', odd).encode()
    assert post(webhookd, odd_tenant)[0] == 200
    line.wait_for(lambda: line.value("SELECT count(*) FROM webhook_events WHERE state = 'received'") == 0)


def test_two_lengths_that_differ_are_refused(line, webhookd, events):
    def statuses(*lengths):
        body = json.dumps(events.make("customer.created", customer())).encode()
        head = ["POST /webhooks/stripe HTTP/1.1", "Host: x", f"Stripe-Signature: {signature(body)}", "Connection: close",
                *(f"Content-Length: {len(body) + more}" for more in lengths)]
        with socket.create_connection(("127.0.0.1", webhookd.port("webhooks")), timeout=20) as peer:
            peer.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)
            answer = b""
            while piece := peer.recv(4096):
                answer += piece
        return answer.split()[1]

    assert statuses(0) == b"200" and statuses(0, 0) == b"200"
    assert statuses(0, 5) == b"400" and statuses(-5, 0) == b"400"
    assert line.value("SELECT count(*) FROM webhook_events") == 2


def test_unknown_types_live_events_and_objects_without_tenant_are_ignored(line, webhookd, events):
    for event, why in (
            (events.make("product.created", {"id": "prod_1"}), "no effect"),
            (events.make("customer.created", customer(), account="acct_other"), "another account"),
            (dict(thin("v1.customer.created", related_object={"id": "cus_1"}), context="acct_other",
                  id="evt_context"), "another account"),
            (events.make("customer.tax_id.created", {"id": "txi_1"}), "no effect"),
            (events.make("customer.created", customer(), livemode=True), "live event"),
            (events.make("customer.created", customer(tenant=None)), "no tenant"),
            (events.make("customer.created", customer(tenant="x" * 129)), "128 bytes"),
            (events.make("customer.created", customer(tenant="a\u0001b")), "plain text")):
        assert why in work(line, webhookd, event, "ignored").error
    other = thin("v1.billing.meter.created")
    assert "no effect" in work(line, webhookd, other, "ignored").error
    assert line.value("SELECT count(*) FROM billing_customers") == 0


# The effects of events.

@pytest.mark.parametrize("legacy", [False, True], ids=["basil", "acacia"])
def test_a_subscription_gives_plan_periods_and_limits(line, webhookd, events, legacy):
    work(line, webhookd, events.make("customer.created", customer()))
    line.wait_for(lambda: limits(line).get("llm_tokens.limit") == "10000", what="free's limits")
    work(line, webhookd, events.make("customer.subscription.created", subscription(legacy=legacy)))
    assert plan_of(line) == ("standard", "active")
    period = line.sql("SELECT extract(epoch FROM period_start)::bigint AS low,"
                      " extract(epoch FROM period_end)::bigint AS high FROM billing_periods")
    assert [tuple(row) for row in period] == [((NOW - DAY) // 60 * 60, (NOW + 29 * DAY) // 60 * 60)]
    line.wait_for(lambda: limits(line).get("llm_tokens.limit") == "1000000", what="new limits")
    cached = limits(line)
    assert cached["llm_tokens.cap"] == "none" and cached["status"] == "active"
    assert abs(int(cached["refreshed_at"]) - time.time() * 1000) < 60_000
    upgrade = subscription(key="enterprise", legacy=legacy, status="past_due")
    work(line, webhookd, events.make("customer.subscription.updated", upgrade, NOW + 1))
    line.wait_for(lambda: limits(line).get("user_seats.limit") == "unlimited", what="enterprise")
    assert limits(line)["status"] == "grace" and "llm_tokens.grace_until" in limits(line)
    canceled = subscription(key="enterprise", status="canceled", ended_at=NOW + 2, legacy=legacy)
    work(line, webhookd, events.make("customer.subscription.deleted", canceled, NOW + 2))
    line.wait_for(lambda: limits(line).get("llm_tokens.limit") == "10000", what="free's limits")
    assert "llm_tokens.grace_until" not in limits(line) and limits(line)["status"] == "active"


def test_fields_of_the_aggregator_are_left_alone_and_metrics_gone_are_deleted(line, webhookd,
                                                                              events):
    key = "quota:{acme}"
    line.client().hset(key, mapping={"llm_tokens.used": "5", "llm_tokens.version": "7"})
    work(line, webhookd, events.make("customer.created", customer()))
    line.wait_for(lambda: "llm_tokens.limit" in limits(line))
    line.sql("DELETE FROM plan_limits WHERE metric = 'llm_tokens'")
    line.sql("UPDATE metrics SET retired_at = now() WHERE metric = 'llm_tokens'")
    line.sql("UPDATE ledger_state SET value = value + 1 WHERE name = 'catalog_version'")
    line.wait_for(lambda: "llm_tokens.limit" not in limits(line))
    assert limits(line)["llm_tokens.used"] == "5" and limits(line)["llm_tokens.version"] == "7"


def test_without_a_plan_of_the_catalog_the_limits_are_frees(line, webhookd, events):
    work(line, webhookd, events.make("customer.created", customer()))
    work(line, webhookd, events.make("customer.subscription.created", subscription(key="gold")))
    assert plan_of(line) == (None, "active")
    webhookd.wait_log("plan_unknown", tenant="acme")
    assert limits(line)["llm_tokens.limit"] == "10000"


def test_the_plan_may_be_named_by_metadata(line, webhookd, events):
    named = subscription(key=None, tenant="acme")
    named["metadata"]["plan"] = "enterprise"
    work(line, webhookd, events.make("customer.subscription.created", named))
    assert plan_of(line) == ("enterprise", "active")


def invoice(status="draft", subscription="sub_1", tenant=None, legacy=False, **more):
    parent = {"subscription": subscription} if legacy else {
        "parent": {"subscription_details": {"subscription": subscription, "metadata": {}}}}
    return {"id": "in_1", "object": "invoice", "customer": "cus_1", "status": status,
            "currency": "usd", "amount_due": 1200, "amount_paid": 0, "period_start": NOW - 31 * DAY,
            "period_end": NOW - DAY, "status_transitions": {"finalized_at": None},
            "metadata": {"tenant": tenant} if tenant else {}, **parent, **more}


@pytest.mark.parametrize("legacy", [False, True], ids=["basil", "acacia"])
def test_invoices_move_on_in_any_order(line, webhookd, events, legacy):
    def stored():
        return tuple(line.sql("SELECT status, stripe_subscription_id, finalized_at IS NOT NULL,"
                              " amount_paid_minor FROM invoices")[0])

    work(line, webhookd, events.make("customer.created", customer()))
    final = {"status_transitions": {"finalized_at": NOW}}
    work(line, webhookd, events.make("invoice.finalized", invoice("open", legacy=legacy, **final)))
    assert stored() == ("open", "sub_1", True, 0)
    # The same second, and before it in truth.
    work(line, webhookd, events.make("invoice.created", invoice(legacy=legacy)))
    assert stored() == ("open", "sub_1", True, 0)
    paid = invoice("paid", legacy=legacy, amount_paid=1200, **final)
    work(line, webhookd, events.make("invoice.paid", paid))
    work(line, webhookd, events.make("invoice.updated", invoice("open", legacy=legacy, **final),
                                     NOW - 1))
    assert stored() == ("paid", "sub_1", True, 1200)


def requests(line):
    return {(row.tenant, row.kind) for row in line.sql("SELECT tenant, kind FROM sink_requests")}


def test_a_new_invoice_asks_the_sink_to_settle_its_tenant_at_once(line, events):
    webhookd = line.start_webhookd(STRIPE_SECRET_KEY=None, METERLINE_TEST_CRASH="before_commit")
    webhookd.wait_ready()
    event = events.make("invoice.created", invoice(tenant="acme"))
    deliver(webhookd, event)
    webhookd.wait_exit()
    assert requests(line) == set()
    webhookd = line.start_webhookd(STRIPE_SECRET_KEY=None).wait_ready()
    wait_state(line, event["id"], "processed")
    assert requests(line) == {("acme", "settle")}
    line.sql("DELETE FROM sink_requests")
    work(line, webhookd, events.make("invoice.updated", invoice(tenant="acme"), NOW + 1))
    work(line, webhookd, events.make("invoice.paid", invoice("paid", tenant="acme"), NOW + 2))
    assert requests(line) == set()


# The order of events.

def test_older_events_do_not_undo_newer_ones(line, webhookd, events):
    work(line, webhookd, events.make("customer.updated", customer(email="new@acme.test"), NOW))
    work(line, webhookd, events.make("customer.created", customer(email="old@acme.test"), NOW - 5))
    assert line.value("SELECT email FROM billing_customers") == "new@acme.test"
    assert [row.kind for row in line.sql("SELECT kind FROM billing_history ORDER BY occurred_at")] == [
        "customer_created", "customer_updated"]


def told(line):
    return tuple(line.sql("SELECT status, cancel_at_period_end FROM subscriptions")[0])


def test_events_of_one_second_are_told_apart_by_their_past(line, webhookd, events):
    """True order: active (created), past_due, and then canceled at period end."""
    past_due = events.make("customer.subscription.updated", subscription(status="past_due"),
                           previous={"status": "active"})
    at_end = events.make("customer.subscription.updated",
                         subscription(status="past_due", cancel_at_period_end=True),
                         previous={"cancel_at_period_end": False})
    work(line, webhookd, events.make("customer.created", customer()))
    work(line, webhookd, at_end)
    assert told(line) == ("past_due", True)
    work(line, webhookd, events.make("customer.subscription.created", subscription()))
    work(line, webhookd, past_due)
    assert told(line) == ("past_due", True)
    # Stripe may make two events of one change.
    work(line, webhookd, dict(past_due, id="evt_again"))
    assert told(line) == ("past_due", True)


def test_the_event_between_two_of_one_second_may_come_late(line, webhookd, events):
    """A, B and C of one second; A and C are there for a long time before B."""
    work(line, webhookd, events.make("customer.created", customer(email="1@x.test")))
    third = events.make("customer.updated", customer(email="3@x.test"), previous={"email": "2@x.test"})
    second = events.make("customer.updated", customer(email="2@x.test"),
                         previous={"email": "1@x.test"})
    work(line, webhookd, third)
    work(line, webhookd, second)
    assert line.value("SELECT email FROM billing_customers") == "3@x.test"


def test_what_changes_to_and_fro_within_a_second_ends_where_it_ended(line, webhookd, events):
    def flip(to, request):
        return events.make("customer.subscription.updated", subscription(cancel_at_period_end=to),
                           previous={"cancel_at_period_end": not to}, request={"id": request})

    work(line, webhookd, events.make("customer.created", customer()))
    work(line, webhookd, flip(True, "req_3"))
    work(line, webhookd, flip(False, "req_2"))
    work(line, webhookd, events.make("customer.subscription.created", subscription()))
    work(line, webhookd, flip(True, "req_1"))
    assert told(line) == ("active", True)


def test_canceled_and_deleted_are_final(line, webhookd, events):
    canceled = subscription(tenant="acme", status="canceled", ended_at=NOW)
    work(line, webhookd, events.make("customer.subscription.deleted", canceled, NOW))
    work(line, webhookd, events.make("customer.subscription.updated", subscription(), NOW + 50))
    assert plan_of(line)[1] == "canceled"
    work(line, webhookd, events.make("customer.deleted", customer(), NOW))
    work(line, webhookd, events.make("customer.updated", customer(), NOW + 50))
    assert line.value("SELECT deleted_at IS NOT NULL FROM billing_customers")
    # A new customer of the same tenant is another matter.
    work(line, webhookd, events.make("customer.created", customer("cus_2"), NOW + 60))
    assert tuple(line.sql("SELECT stripe_customer_id, deleted_at FROM billing_customers")[0]) == (
        "cus_2", None)


def test_a_customer_that_was_deleted_stays_so_whatever_comes_late(line, webhookd, events):
    """cus_1 is deleted and cus_2 made anew; then the end of cus_1's subscription arrives."""
    gone = subscription(customer="cus_1", status="canceled", ended_at=NOW + 5)
    for event in (events.make("customer.created", customer(), NOW + 1),
                  events.make("customer.subscription.created", subscription(), NOW + 1),
                  events.make("customer.created", customer("cus_2"), NOW + 6),
                  events.make("customer.deleted", customer(), NOW + 5),
                  events.make("customer.subscription.deleted", gone, NOW + 5),
                  events.make("customer.subscription.created",
                              subscription("sub_2", "cus_2", key="enterprise"), NOW + 7)):
        work(line, webhookd, event)
    assert tuple(line.sql("SELECT stripe_customer_id, deleted_at FROM billing_customers")[0]) == (
        "cus_2", None)
    line.wait_for(lambda: limits(line).get("llm_tokens.limit") == "10000000", what="enterprise")


def test_the_end_of_a_customer_may_come_before_its_beginning(line, webhookd, events):
    work(line, webhookd, events.make("customer.deleted", customer(), NOW + 5))
    work(line, webhookd, events.make("customer.created", customer(), NOW))
    assert line.value("SELECT deleted_at IS NOT NULL FROM billing_customers")


def test_a_subscription_may_come_before_its_customer(line, webhookd, events):
    with_tenant = subscription("sub_2", "cus_2", tenant="early")
    work(line, webhookd, events.make("customer.subscription.created", with_tenant))
    assert line.value("SELECT stripe_customer_id FROM billing_customers WHERE tenant = 'early'") \
        == "cus_2"
    without = events.make("customer.subscription.created", subscription())
    assert "no tenant" in work(line, webhookd, without, "ignored").error
    assert plan_of(line) is None
    work(line, webhookd, events.make("customer.updated", customer()))
    assert state(line, without["id"]).state == "processed" and state(line, without["id"]).error == ""
    assert plan_of(line) == ("standard", "active")
    assert line.value("SELECT count(*) FROM billing_history WHERE event_id = %s", without["id"]) == 1


def test_what_waits_for_a_tenant_is_taken_up_whatever_tells_of_it(line, webhookd, events):
    """The second subscription of a customer names the tenant; a checkout's reference names another's."""
    first = events.make("customer.subscription.created", subscription())
    bill = events.make("invoice.created", invoice())
    for event in (first, bill):
        work(line, webhookd, event, "ignored")
    work(line, webhookd, events.make("customer.subscription.created", subscription("sub_2", tenant="acme")))
    assert {state(line, event["id"]).state for event in (first, bill)} == {"processed"}
    assert line.value("SELECT count(*) FROM subscriptions WHERE tenant = 'acme'") == 2
    linked = events.make("customer.subscription.created", subscription("sub_3", "cus_3"))
    work(line, webhookd, linked, "ignored")
    session = {"id": "cs_1", "object": "checkout.session", "customer": "cus_3", "subscription": "sub_3",
               "client_reference_id": "byte", "metadata": {}, "status": "complete", "payment_status": "paid",
               "mode": "subscription", "currency": "usd", "amount_total": 9900}
    work(line, webhookd, events.make("checkout.session.completed", session))
    assert plan_of(line, "byte") == ("standard", "active")
    assert line.value("SELECT stripe_customer_id FROM billing_customers WHERE tenant = 'byte'") == "cus_3"


def test_of_two_customers_of_a_tenant_the_one_with_a_subscription_is_billed(line, webhookd, events, stripe):
    def billed():
        return tuple(line.sql("SELECT stripe_customer_id, contested_since IS NOT NULL FROM billing_customers")[0])

    work(line, webhookd, events.make("customer.created", customer("cus_2", created=NOW + 1), NOW + 1))
    work(line, webhookd, events.make("customer.created", customer("cus_1", created=NOW), NOW))
    assert billed() == ("cus_1", False), "the first one"
    work(line, webhookd, events.make("customer.subscription.created", subscription("sub_2", "cus_2"), NOW + 2))
    assert billed() == ("cus_2", False), "the one with a subscription"
    work(line, webhookd, events.make("customer.subscription.created", subscription(), NOW + 3))
    assert billed()[1], "both have one"
    assert "cus_1, cus_2" in webhookd.wait_log("customer_contested", tenant="acme")["customers"]
    count_usage(line, "acme")
    line.must("meterline-sink", "--once", STRIPE_API_BASE=stripe.url)
    assert line.sql("SELECT reason FROM usage_unbilled") == [("unmapped",)]
    assert line.value("SELECT count(*) FROM usage_submissions") == 0
    work(line, webhookd, events.make("customer.deleted", customer("cus_1"), NOW + 4))
    assert billed() == ("cus_2", False)


def test_a_tenant_that_an_object_names_against_its_customer_is_loud(line, webhookd, events):
    work(line, webhookd, events.make("customer.created", customer()))
    for event in (events.make("customer.updated", customer(tenant="other"), NOW + 1),
                  events.make("customer.subscription.created", subscription(tenant="other"))):
        assert "belongs to acme" in work(line, webhookd, event).error
        webhookd.wait_log("tenant_mismatched", tenant="acme", named="other")
    assert plan_of(line) == ("standard", "active")
    assert [tuple(row) for row in line.sql("SELECT tenant, stripe_customer_id"
                                           " FROM billing_customers")] == [("acme", "cus_1")]


# Since when a payment has failed.

def test_grace_counts_from_the_change_into_past_due(line, webhookd, events):
    """In whatever order the events come, and not from an earlier time that it was past due."""
    def since():
        found = line.value("SELECT extract(epoch FROM past_due_since)::bigint FROM subscriptions")
        return found and round((found - NOW) / DAY)

    def updated(days, status, before):
        return events.make("customer.subscription.updated", subscription(status=status), NOW + days * DAY,
                           previous={"status": before})

    work(line, webhookd, events.make("customer.created", customer()))
    work(line, webhookd, updated(-1, "past_due", "active"))
    work(line, webhookd, updated(-20, "past_due", "active"))
    assert since() == -1, "it was in order between them"
    work(line, webhookd, updated(-19, "active", "past_due"))
    assert since() == -1
    line.wait_for(lambda: limits(line).get("status") == "grace", what="grace")
    # Something else changed later: that is not when it began.
    work(line, webhookd, events.make("customer.subscription.updated",
                                     subscription(status="past_due", cancel_at_period_end=True), NOW,
                                     previous={"cancel_at_period_end": False}))
    assert since() == -1


def test_past_due_longer_than_grace_blocks_although_it_is_told_late(line, webhookd, events):
    work(line, webhookd, events.make("customer.created", customer()))
    later = events.make("customer.subscription.updated", subscription(status="past_due", cancel_at_period_end=True),
                        NOW - DAY, previous={"cancel_at_period_end": False})
    work(line, webhookd, later)
    line.wait_for(lambda: limits(line).get("status") == "grace", what="all that is known")
    work(line, webhookd, events.make("customer.subscription.updated", subscription(status="past_due"),
                                     NOW - 8 * DAY, previous={"status": "active"}))
    line.wait_for(lambda: limits(line).get("status") == "blocked", what="blocked")


def test_grace_does_not_begin_anew_once_its_beginning_is_forgotten(line, webhookd, events):
    """Stripe may leave a subscription past due for good. Then only its renewals are heard of."""
    def renewed(days):
        return events.make("customer.subscription.updated", subscription(status="past_due", start=NOW + days * DAY),
                           NOW + days * DAY, previous={"latest_invoice": "in_0"})

    work(line, webhookd, events.make("customer.created", customer(), NOW - 100 * DAY))
    work(line, webhookd, events.make("customer.subscription.updated", subscription(status="past_due"), NOW - 90 * DAY,
                                     previous={"status": "active"}))
    work(line, webhookd, renewed(-1))
    began = line.value("SELECT past_due_since FROM subscriptions")
    line.sql("UPDATE stripe_observations SET noted_at = now() - interval '61 days'")
    line.sql((ROOT / "webhookd" / "sql" / "forget_observations.sql").read_text(encoding="utf-8"))
    assert line.value("SELECT count(*) FROM stripe_observations WHERE object_id = 'sub_1'") == 1
    work(line, webhookd, renewed(0))
    assert line.value("SELECT past_due_since FROM subscriptions") == began
    line.wait_for(lambda: limits(line).get("status") == "blocked", what="blocked as before")


# Prices and items.

def test_a_price_that_lost_its_lookup_key_is_still_the_plans(line, webhookd, events):
    renewed = subscription(start=NOW, end=NOW + 30 * DAY)
    renewed["items"]["data"][0]["price"]["lookup_key"] = None
    work(line, webhookd, events.make("customer.created", customer()))
    work(line, webhookd, events.make("customer.subscription.updated", renewed, NOW + 5))
    assert plan_of(line) == (None, "active")
    # Another tenant's subscription, from before, tells what the price is.
    work(line, webhookd, events.make("customer.subscription.created",
                                     subscription("sub_2", "cus_2", tenant="byte")))
    assert plan_of(line) == ("standard", "active")
    line.wait_for(lambda: limits(line).get("llm_tokens.limit") == "1000000", what="its limits")


def test_that_a_price_lost_its_lookup_key_tells_whose_it_was(line, webhookd, events):
    renewed = subscription(start=NOW, end=NOW + 30 * DAY)
    price = renewed["items"]["data"][0]["price"]
    price["lookup_key"] = None
    work(line, webhookd, events.make("customer.created", customer()))
    work(line, webhookd, events.make("customer.subscription.updated", renewed, NOW + 5))
    assert plan_of(line) == (None, "active")
    work(line, webhookd, events.make("price.updated", price, NOW, {"lookup_key": "standard"}))
    assert plan_of(line) == ("standard", "active")


def test_an_unknown_price_keeps_the_last_known_limits(line, webhookd, events):
    work(line, webhookd, events.make("customer.created", customer()))
    work(line, webhookd, events.make("customer.subscription.created", subscription()))
    odd = subscription(key="gold")
    odd["items"]["data"][0]["price"]["product"] = "prod_gold"
    work(line, webhookd, events.make("customer.subscription.updated", odd, NOW + 1,
                                     previous={"items": subscription()["items"]}))
    webhookd.wait_log("plan_unknown", tenant="acme")
    assert plan_of(line) == ("standard", "active")


def test_items_that_stripe_left_out_are_kept(line, webhookd, events):
    def item(number):
        return {"id": f"si_{number:02}", "object": "subscription_item", "quantity": 1, "metadata": {},
                "current_period_start": NOW - DAY, "current_period_end": NOW + 29 * DAY,
                "price": {"id": f"price_{number}", "object": "price", "metadata": {}, "product": "prod_1",
                          "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"}}}

    def with_items(items, has_more):
        return subscription(items={"object": "list", "data": items, "has_more": has_more})

    work(line, webhookd, events.make("customer.created", customer()))
    eleven = [item(number) for number in range(11)]
    work(line, webhookd, events.make("customer.subscription.created", with_items(eleven, False)))
    work(line, webhookd, events.make("customer.subscription.updated", with_items(eleven[:10], True), NOW + 1))
    assert line.value("SELECT count(*) FROM subscription_items") == 11
    work(line, webhookd, events.make("customer.subscription.updated", with_items(eleven[:10], False), NOW + 2))
    assert line.value("SELECT count(*) FROM subscription_items") == 10


def test_a_plan_bought_seven_times_has_seven_times_its_limits(line, webhookd, events):
    seven = subscription()
    seven["items"]["data"][0]["quantity"] = 7
    work(line, webhookd, events.make("customer.created", customer()))
    work(line, webhookd, events.make("customer.subscription.created", seven))
    line.wait_for(lambda: limits(line).get("llm_tokens.limit") == "7000000", what="seven times")


@pytest.mark.parametrize("order", [1, -1])
def test_of_a_weekly_and_a_monthly_meter_the_weekly_period_counts(line, webhookd, events, order):
    def item(name, days, interval):
        return {"id": f"si_{name}", "object": "subscription_item", "metadata": {},
                "current_period_start": NOW - DAY, "current_period_end": NOW + (days - 1) * DAY,
                "price": {"id": f"price_{name}", "object": "price", "metadata": {}, "product": "prod_1",
                          "recurring": {"interval": interval, "interval_count": 1, "usage_type": "metered"}}}

    items = [item("month", 30, "month"), item("week", 7, "week")][::order]
    work(line, webhookd, events.make("customer.created", customer()))
    work(line, webhookd, events.make("customer.subscription.created",
                                     subscription(items={"object": "list", "data": items})))
    assert line.value("SELECT billing_interval FROM subscriptions") == "week"


# What goes wrong, and is survived.

def test_a_refused_key_is_reported_and_events_are_worked_as_without_it(line, stripe):
    """Nobody asks Stripe but a probe now and then, and once it takes the key again, the reason is gone."""
    webhookd = line.start_webhookd(STRIPE_API_BASE=stripe.url).wait_ready()
    assert webhookd.get("/readyz") == (200, "ready\n")
    fault = stripe.fault("status", status=401, path="/v1/", method="GET")
    stripe.webhook(webhookd.webhook_url, secret=TEST_WEBHOOK_SECRET)
    stripe.bootstrap(tenants=[f"t{n}" for n in range(50)], price_lookup_key="standard")
    line.wait_for(lambda: "stripe: refuses our key (401)" in webhookd.get("/readyz")[1], 30, "it says so")
    status, text = webhookd.get("/readyz")
    assert status == 200 and text.startswith("ready\n") and "sk_" not in text
    line.wait_for(lambda: line.value("SELECT count(*) FROM subscriptions") == 50, 60, "what was stored is worked")
    line.wait_for(lambda: "refuses our key" in (line.value(
        "SELECT reason FROM stage_instances WHERE stage = 'webhookd'") or ""), 30, "status tells it")
    calls = [r for r in stripe.requests("/v1/") if r["method"] == "GET"]
    assert len(calls) < 80, "those in flight when it was refused first, and probes"
    assert len(webhookd.logs("account_refused")) <= 4
    stripe.end_fault(fault)
    webhookd.wait_log("peer_back", peer="stripe", timeout=60)
    assert webhookd.get("/readyz") == (200, "ready\n")


@pytest.mark.own_servers
def test_postgres_away_is_503_and_then_all_goes_on(line, webhookd, events):
    work(line, webhookd, events.make("customer.created", customer()))
    line.postgres.stop()
    event = events.make("customer.subscription.created", subscription())
    line.wait_for(lambda: post(webhookd, event)[0] == 503)
    assert json.loads(post(webhookd, event)[1])["error"]["code"] == "unavailable"
    line.wait_for(lambda: not webhookd.ready())
    assert webhookd.get("/healthz")[0] == 200
    line.postgres.start()
    webhookd.wait_ready()
    work(line, webhookd, event)
    assert plan_of(line) == ("standard", "active")


@pytest.mark.own_servers
def test_redis_away_delays_nothing_and_the_cache_heals(line, webhookd, events):
    line.redis.stop()
    line.wait_for(lambda: not webhookd.ready())
    work(line, webhookd, events.make("customer.subscription.created", subscription(tenant="acme")))
    line.redis.start()
    line.wait_for(lambda: limits(line).get("llm_tokens.limit") == "1000000", what="healed")
    line.redis.restart_empty()
    line.wait_for(lambda: limits(line).get("llm_tokens.limit") == "1000000", what="healed again")


def test_the_sweep_restores_a_deleted_cache_and_applies_a_new_catalog(line, events):
    webhookd = line.start_webhookd(STRIPE_SECRET_KEY=None, WEBHOOKD_HEAL_S=1).wait_ready()
    work(line, webhookd, events.make("customer.created", customer()))
    line.wait_for(lambda: limits(line))
    line.client().delete("quota:{acme}")
    line.wait_for(lambda: limits(line).get("llm_tokens.limit") == "10000", what="healed")
    line.sql("UPDATE plan_limits SET included = 77.5 WHERE plan = 'free' AND metric = 'api_calls'")
    line.sql("UPDATE ledger_state SET value = value + 1 WHERE name = 'catalog_version'")
    line.wait_for(lambda: limits(line).get("api_calls.limit") == "77.5", what="the new catalog")
    # A tenant that only has usage: the plan free.
    line.sql("INSERT INTO usage_totals (tenant, metric, period_start, period_end, quantity, version,"
             " last_ms, last_entry) VALUES ('guest', 'api_calls', now(), now(), 1, 1, 1, '')")
    line.wait_for(lambda: limits(line, "guest").get("api_calls.limit") == "77.5", what="a guest")
    assert limits(line, "guest")["status"] == "active"
    assert webhookd.metric("meterline_webhooks", state="processed") is not None


def test_waiting_events_are_counted_between_sweeps_too(line):
    """A backlog shows within 10 s, however rare the sweeps over all limits are."""
    webhookd = line.start_webhookd(WEBHOOKD_HEAL_S=3600).wait_ready()
    webhookd.wait_log("limits_rewritten")
    line.sql("INSERT INTO webhook_events (event_id, type, created_at, received_at, next_attempt_at) "
             "VALUES ('evt_1', 'customer.created', now(), now() - interval '90 s', now() + "
             "interval '1 hour')")
    line.wait_for(lambda: webhookd.metric("meterline_webhooks", state="received") == 1, 20,
                  "the gauge tells the backlog")
    assert webhookd.metric("meterline_oldest_waiting_seconds", queue="webhooks") >= 90
    assert len(webhookd.logs("limits_rewritten")) == 1


def test_killed_between_storing_and_working_the_event_is_worked_after_the_restart(line, events):
    event = events.make("customer.created", customer())
    for point in ("after_store", "before_commit", "after_commit"):
        stage = line.start_webhookd(STRIPE_SECRET_KEY=None, METERLINE_TEST_CRASH=point)
        stage.wait_ready()
        event = dict(event, id=f"evt_{point}", created=event["created"] + 1)
        try:
            post(stage, event)
        except (ConnectionError, http.client.HTTPException):
            pass
        assert stage.wait_exit() == -9
        wanted = "processed" if point == "after_commit" else "received"
        assert state(line, event["id"]).state == wanted
        again = line.start_webhookd(STRIPE_SECRET_KEY=None).wait_ready()
        wait_state(line, event["id"], "processed")
        assert line.value("SELECT count(*) FROM billing_history WHERE event_id = %s",
                          event["id"]) == 1
        again.term()


def test_workers_and_replicas_share_the_work(line, events):
    stages = [line.start_webhookd(STRIPE_SECRET_KEY=None, WEBHOOKD_WORKERS=3) for _ in range(2)]
    for stage in stages:
        stage.wait_ready()
    ids = [deliver(stages[i % 2], events.make(
        "customer.updated", customer(f"cus_{i % 7}", f"tenant_{i % 7}", f"{i}@x.test"), NOW + i))
        for i in range(70)]
    line.wait_for(lambda: line.value("SELECT count(*) FROM webhook_events"
                                     " WHERE state = 'received'") == 0)
    assert line.value("SELECT count(*) FROM webhook_events WHERE state = 'failed'") == 0
    assert len(ids) == 70
    newest = {row.tenant: row.email for row in line.sql("SELECT tenant, email"
                                                        " FROM billing_customers")}
    assert newest == {f"tenant_{i % 7}": f"{i}@x.test" for i in range(63, 70)}
    for stage in stages:
        stage.term()


REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'not this one' USING ERRCODE = '22023'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW WHEN ({condition})
EXECUTE FUNCTION refuse();"""


@pytest.mark.own_servers
def test_an_event_that_postgres_refuses_does_not_hold_up_those_kept_with_it(line, webhookd, events):
    line.sql(REFUSE.format(table="webhook_events", condition="new.type = 'bad.one'"))
    made = [events.make("bad.one" if i == 3 else "x.y", {"id": f"x_{i}"}) for i in range(6)]
    line.postgres.pause()
    with concurrent.futures.ThreadPoolExecutor(len(made)) as pool:
        answers = [pool.submit(post, webhookd, event) for event in made]
        line.wait_for(lambda: webhookd.get("/healthz")[0] == 200)
        line.postgres.resume()
        statuses = [answer.result()[0] for answer in answers]
    assert statuses == [200, 200, 200, 500, 200, 200]
    webhookd.wait_log("webhook_store_failed")


@pytest.mark.own_servers
def test_deliveries_that_wait_are_stored_together(line, webhookd, events):
    """One statement for up to 64 of them. Of two deliveries of one event, one is stored."""
    made = [events.make("x.y", {"id": f"x_{i}"}) for i in range(80)]
    line.postgres.pause()
    sent = [send(webhookd, event) for event in made + made[:20]]
    for _ in range(2):  # After it webhookd has read what had come before.
        assert webhookd.get("/healthz")[0] == 200
    line.postgres.resume()
    assert {connection.getresponse().status for connection in sent} == {200}
    assert line.value("SELECT count(*) FROM webhook_events") == 80
    assert line.value("SELECT count(DISTINCT received_at) FROM webhook_events") <= 4
    assert webhookd.metric("meterline_webhook_requests_total", outcome="stored") == 80
    assert webhookd.metric("meterline_webhook_requests_total", outcome="duplicate") == 20


def test_an_effect_whose_data_postgres_refuses_eight_times_fails_visibly(line, webhookd, events):
    line.sql(REFUSE.format(table="billing_customers", condition="new.tenant = 'acme'"))
    event = deliver(webhookd, events.make("customer.created", customer()))
    webhookd.wait_log("webhook_delayed", id=event, attempt=1)
    line.sql("UPDATE webhook_events SET attempts = 7, next_attempt_at = now()")
    row = wait_state(line, event, "failed")
    # 9 where a try was under way while the row was changed.
    assert "not this one" in row.error and 8 <= row.attempts <= 11
    webhookd.wait_log("webhook_failed", id=event)
    # Other events are worked.
    work(line, webhookd, events.make("customer.created", customer("cus_2", "other")))


def test_what_changes_nothing_costs_no_write_of_limits(line, events):
    """Also of a tenant whose plan limits nothing, and which therefore has no quotas."""
    line.sql("DELETE FROM plan_limits")
    stage = line.start_webhookd(STRIPE_SECRET_KEY=None, WEBHOOKD_WORKERS="1", WEBHOOKD_HEAL_S="3600").wait_ready()
    work(line, stage, events.make("customer.created", customer()))
    line.wait_for(lambda: limits(line))
    line.client().hset("quota:{acme}", "refreshed_at", "untouched")
    work(line, stage, events.make("customer.updated", customer(email="b@acme.test"), NOW + 1))
    work(line, stage, events.make("customer.created", customer("cus_2", "other")))
    line.wait_for(lambda: limits(line, "other"))
    assert limits(line)["refreshed_at"] == "untouched"


def test_an_event_costs_the_same_however_many_there_were(line, events):
    """Parts of payments name no customer. What is read for each of them does not grow with their number."""
    def read_rows():
        return line.value("SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_user_tables"
                          " WHERE relname = 'stripe_observations'")

    def work_parts(count):
        made = [events.make("invoice_payment.paid", {
            "id": f"inpay_{events.count}", "object": "invoice_payment", "invoice": "in_1", "amount_paid": 5,
            "currency": "usd", "status": "paid",
            "payment": {"type": "payment_intent", "payment_intent": f"pi_{events.count}"}}) for _ in range(count)]
        for event in made:
            line.sql("INSERT INTO webhook_events (event_id, type, object_id, created_at, payload)"
                     " VALUES (%s, %s, %s, now(), %s)", event["id"], event["type"],
                     event["data"]["object"]["id"], json.dumps(event))
        stage = line.start_webhookd(STRIPE_SECRET_KEY=None).wait_ready()
        line.wait_for(lambda: line.value("SELECT count(*) FROM webhook_events WHERE state = 'received'") == 0, 60)
        stage.term()

    work_parts(400)
    first = line.wait_for(read_rows)
    work_parts(400)
    assert read_rows() - first < 1.5 * first


def test_sigterm_ends_it_in_order(line, webhookd):
    webhookd.term()
    assert webhookd.logs("draining") and webhookd.logs("stopped", code=0)


@pytest.mark.parametrize("settings, faults", [
    ({"DATABASE_URL": None, "STRIPE_WEBHOOK_SECRET": None, "WEBHOOKD_WORKERS": "-1"},
     {"DATABASE_URL", "STRIPE_WEBHOOK_SECRET", "WEBHOOKD_WORKERS"}),
    ({"STRIPE_SECRET_KEY": "sk_live_1", "STRIPE_WEBHOOK_SECRET": "whsec_a,,whsec_b",
      "STRIPE_API_BASE": "ftp://x", "WEBHOOKD_LISTEN": "nowhere", "REDIS_URL": "http://x"},
     {"STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "STRIPE_API_BASE", "WEBHOOKD_LISTEN",
      "REDIS_URL"}),
    ({"STRIPE_SECRET_KEY": "rk_live_1", "DATABASE_URL": None},
     {"STRIPE_SECRET_KEY", "DATABASE_URL"}),
    ({"STRIPE_LIVE": "1", "STRIPE_API_BASE": "http://127.0.0.1:1"}, {"STRIPE_API_BASE"}),
], ids=["missing", "wrong", "live", "live without TLS"])
def test_wrong_settings_are_all_named(line, settings, faults):
    done = line.run("webhookd", **settings)
    assert done.returncode == 2
    told = {word.split("=")[1] for text in done.stderr.splitlines()
            for word in text.split() if word.startswith("setting=")}
    assert told == faults
    assert "sk_live_1" not in done.stderr and "rk_live_1" not in done.stderr
    assert "whsec_a" not in done.stderr


# With a key: the object is fetched anew.

@pytest.fixture
def keyed(line, stripe):
    """A stage with a key, and an endpoint of the sandbox that sends it everything."""
    stage = line.start_webhookd(STRIPE_API_BASE=stripe.url).wait_ready()
    stripe.webhook(stage.webhook_url, secret=TEST_WEBHOOK_SECRET)
    return stage


def test_with_a_key_the_object_is_the_truth(line, stripe, keyed, events):
    tenants = stripe.bootstrap(meters=[{"event_name": "llm_tokens"}], tenants=["acme"],
                               price_lookup_key="standard")["tenants"]
    ids = tenants["acme"]
    line.wait_for(lambda: plan_of(line) == ("standard", "active"), what="the subscription")
    # An event that lies about the status is only a hint.
    lie = subscription(ids["subscription"], ids["customer"], status="past_due")
    work(line, keyed, events.make("customer.subscription.updated", lie, NOW + 1000))
    assert plan_of(line) == ("standard", "active")
    assert stripe.requests("/v1/subscriptions/")
    stripe.api("DELETE", f"/v1/subscriptions/{ids['subscription']}")
    line.wait_for(lambda: plan_of(line) == ("standard", "canceled"), what="canceled")
    stripe.api("DELETE", f"/v1/customers/{ids['customer']}")
    line.wait_for(lambda: line.value("SELECT deleted_at IS NOT NULL FROM billing_customers"))
    assert line.value("SELECT count(*) FROM webhook_events WHERE state = 'failed'") == 0


def test_the_tenant_may_stand_on_the_fetched_customer_alone(line, stripe, keyed, events):
    made = stripe.api("POST", "/v1/customers", {"metadata": {"tenant": "acme"}}).json
    line.wait_for(lambda: line.sql("SELECT 1 FROM billing_customers"))
    line.sql("DELETE FROM billing_customers")
    event = events.make("customer.subscription.created", subscription(customer=made["id"]))
    assert work(line, keyed, event).error == "", "what was missing before the fetch is not a reason any more"
    assert line.value("SELECT stripe_customer_id FROM billing_customers") == made["id"]


def test_sigterm_while_stripe_hangs_hands_the_event_back(line, stripe, keyed, events):
    stripe.fault("hang", path="/v1/customers")
    event = deliver(keyed, events.make("customer.created", customer("cus_gone", "acme")))
    line.wait_for(lambda: any(fault["fired"] for fault in stripe.faults()), what="it asks")
    keyed.term()
    assert state(line, event).state == "received"


def test_404_is_as_without_a_key(line, keyed, events):
    work(line, keyed, events.make("customer.created", customer("cus_gone", "acme")))
    assert line.value("SELECT tenant FROM billing_customers") == "acme"


def test_what_a_restricted_key_may_not_read_is_worked_as_without_a_key(line, stripe, keyed, events):
    stripe.fault("status", status=403, path="/v1/invoices", method="GET")
    work(line, keyed, events.make("invoice.created", invoice(tenant="acme")))
    assert line.value("SELECT tenant FROM invoices") == "acme"
    keyed.wait_log("fetch_refused", kind="v1/invoices")
    assert "stripe: our key may not read v1/invoices (403)" in keyed.get("/readyz")[1]
    for n in range(20):
        work(line, keyed, events.make("invoice.created", invoice(f"in_{n}", tenant="acme")))
    assert len(stripe.requests("/v1/invoices/")) <= 6, "calls that are of no use are not made"
    assert len(keyed.logs("fetch_refused")) == 1 and not keyed.logs("peer_lost")
    work(line, keyed, events.make("customer.updated", customer("cus_1", "acme")))
    assert stripe.requests("/v1/customers/cus_1"), "other objects are still fetched"
    stripe.clear_faults()
    keyed.wait_log("fetch_allowed", kind="v1/invoices", timeout=60)
    assert keyed.get("/readyz") == (200, "ready\n")


def test_a_thin_event_waits_for_the_key_and_fails_visibly_without_the_permission(line, stripe, keyed):
    made = stripe.api("POST", "/v1/customers", {"metadata": {"tenant": "acme"}}).json
    related = {"id": made["id"], "type": "customer", "url": f"/v1/customers/{made['id']}"}
    fault = stripe.fault("status", status=401, path="/v1/", method="GET")
    event = deliver(keyed, thin("v1.customer.updated", id="evt_thin_1", related_object=related))
    wait_state(line, event, "received")
    line.wait_for(lambda: "refuses our key" in state(line, event).error)
    stripe.end_fault(fault)
    wait_state(line, event, "processed")
    stripe.fault("status", status=403, path="/v1/customers", method="GET")
    event = deliver(keyed, thin("v1.customer.updated", id="evt_thin_2", related_object=related))
    assert "permission" in wait_state(line, event, "failed").error


@pytest.mark.parametrize("fault", [{"fault": "status", "status": 503}, {"fault": "drop_before_apply"}])
def test_after_an_outage_everything_is_due_at_once(line, stripe, keyed, fault):
    """While Stripe is away few calls are made; when it is back, nobody waits for the end of a long wait of its own."""
    id = stripe.fault(path="/v1/", method="GET", **fault)
    stripe.bootstrap(tenants=[f"t{n}" for n in range(30)], price_lookup_key="standard")
    line.wait_for(lambda: line.value("SELECT count(*) FROM webhook_events WHERE state = 'received'") >= 60)
    line.wait_for(lambda: line.value("SELECT min(attempts) FROM webhook_events WHERE state = 'received'") >= 1)
    line.sql("UPDATE webhook_events SET next_attempt_at = now() + interval '10 minutes' WHERE state = 'received'")
    line.wait_for(lambda: "stripe:" in keyed.get("/readyz")[1])
    assert len(stripe.requests("/v1/")) < 150
    stripe.end_fault(id)
    line.wait_for(lambda: line.value("SELECT count(*) FROM subscriptions") == 30, 60)
    line.wait_for(lambda: line.value("SELECT count(*) FROM webhook_events WHERE state = 'received'") == 0, 30)
    assert keyed.get("/readyz") == (200, "ready\n")


def test_stripe_away_is_waited_for(line, stripe, keyed, events):
    fault = {"path": "/v1/customers", "method": "GET"}
    stripe.fault("status", status=500, times=2, **fault)
    stripe.fault("drop_before_apply", times=1, **fault)
    event = deliver(keyed, events.make("customer.created", customer("cus_gone", "acme")))
    keyed.wait_log("peer_lost", peer="stripe")
    # The client itself may have repeated the request whose kept connection was dropped.
    assert wait_state(line, event, "processed").attempts in (2, 3, 4)
    keyed.wait_log("peer_back", peer="stripe")
    assert "sk_test" not in keyed.log_tail(500)


# What Stripe took and refused later.

def count_usage(line, tenant, metric="api_calls", quantity=5):
    line.sql("INSERT INTO usage_totals (tenant, metric, period_start, period_end, quantity, version, "
             "last_ms, last_entry) SELECT %s, %s, p.period_start, p.period_end, %s, "
             "nextval('usage_version'), 0, '' FROM billing_period(%s, now()) p",
             tenant, metric, quantity, tenant)


def test_what_stripe_refused_later_is_marked_and_its_tenant_compared(line, stripe, keyed):
    stripe.bootstrap(meters=[{"event_name": "api_calls"}], tenants=[])
    made = stripe.api("POST", "/v1/customers", {"metadata": {"tenant": "good"}}).json["id"]
    line.wait_for(lambda: line.value("SELECT tenant FROM billing_customers") == "good")
    line.sql("INSERT INTO billing_customers (tenant, stripe_customer_id) VALUES ('bad', 'cus_gone')")
    for tenant in ("good", "bad"):
        count_usage(line, tenant)
    line.must("meterline-sink", "--once", STRIPE_API_BASE=stripe.url)
    record = keyed.wait_log("meter_errors_reported")
    assert (record["errors"], record["named"], record["marked"]) == ("1", "1", "1")
    rows = {row.stripe_customer_id: row for row in line.sql("SELECT * FROM usage_submissions")}
    assert rows[made].state == "sent"
    refused = rows["cus_gone"]
    assert refused.state == "failed" and refused.sent_at is None and refused.first_sent_at
    assert refused.last_error.startswith("refused later: meter_event_customer_not_found: No customer")
    assert requests(line) == {("bad", "reconcile")}
    event = record["id"]
    asked = stripe.requests(f"/v2/core/events/{event}")
    assert len(asked) == 1 and state(line, event).state == "processed"
    sent = {name.lower(): value for name, value in dict(asked[0]["headers"]).items()}
    assert sent["stripe-version"] and sent["authorization"].startswith("Bearer ")
    # A second report of the same changes nothing: a person may have decided meanwhile.
    line.sql("UPDATE usage_submissions SET state = 'void' WHERE state = 'failed'")
    line.sql("UPDATE webhook_events SET state = 'received' WHERE event_id = %s", event)
    assert keyed.wait_log("meter_errors_reported", marked=0)
    assert line.value("SELECT count(*) FROM usage_submissions WHERE state = 'void'") == 1


def add_submission(line, tenant, metric="api_calls", state="sent", ago="10 minutes"):
    line.sql("INSERT INTO usage_submissions (identifier, tenant, metric, transport, stripe_customer_id, "
             "event_name, period_start, claim, usage_at, quantity, body, state, first_sent_at, last_sent_at) "
             "SELECT 'ml-' || %s, %s, %s, 'meter_events', 'cus_' || %s, %s, now(), 1, minute_of(now()), 1, '', "
             "%s, now() - %s::interval, now() - %s::interval",
             tenant, tenant, metric, tenant, metric, state, ago, ago)


def sample(identifier, **request):
    return {"error_message": "No.", "request": {"identifier": identifier, **request}}


def at(ago_s):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - ago_s))


def report(error_count, *types):
    return {"reason": {"error_count": error_count, "error_types": [
        {"code": code, "error_count": error_count, "sample_errors": list(samples)}
        for code, *samples in types]}, "validation_start": at(300), "validation_end": at(60)}


def test_only_samples_are_named_so_all_that_was_sent_to_the_meter_then_is_compared(line, webhookd):
    add_submission(line, "named")
    add_submission(line, "keyed")
    add_submission(line, "unsent", state="pending")
    line.sql("UPDATE usage_submissions SET first_sent_at = NULL, last_sent_at = NULL WHERE tenant = 'unsent'")
    add_submission(line, "beside")
    add_submission(line, "before", ago="3 hours")
    add_submission(line, "after", ago="-10 minutes")
    add_submission(line, "elsewhere", metric="llm_tokens")
    older = {"error_message": "Older.", "request": {"id": "req_1", "idempotency_key": "ml-keyed"}}
    data = report(9, ("archived_meter", sample("ml-named"), sample("ml-unsent")),
                  ("no_meter", older, sample("of-somebody-else"), {"error_message": "x"}))
    work(line, webhookd, thin(data=data, related_object={"id": "mtr_1"}))
    assert {row.tenant: row.last_error for row in line.sql(
        "SELECT tenant, last_error FROM usage_submissions WHERE state = 'failed'")} == {
            "named": "refused later: archived_meter: No.", "keyed": "refused later: no_meter: Older."}
    assert requests(line) == {(tenant, "reconcile") for tenant in ("named", "keyed", "beside")}
    record = webhookd.wait_log("meter_errors_reported")
    assert (record["errors"], record["named"], record["marked"], record["meter"]) == ("9", "4", "2", "mtr_1")


def test_where_all_are_named_nobody_else_is_compared(line, webhookd):
    for tenant in ("named", "beside"):
        add_submission(line, tenant)
    work(line, webhookd, thin(data=report(1, ("no_meter", sample("ml-named")))))
    assert requests(line) == {("named", "reconcile")}


def test_a_report_that_names_nothing_and_cannot_be_fetched_fails_visibly(line, webhookd, stripe):
    add_submission(line, "acme")
    event = thin("v1.billing.meter.no_meter_found", related_object=None)
    assert "STRIPE_SECRET_KEY" in work(line, webhookd, event, "failed").error
    assert requests(line) == set() and not webhookd.logs("meter_errors_reported")
    # With a key that fetches nothing it is the same; what the payload has is enough.
    again = line.start_webhookd(STRIPE_API_BASE=stripe.url).wait_ready()
    assert "fetched" in work(line, again, dict(event, id="evt_gone"), "failed").error
    work(line, again, dict(event, id="evt_full", data=report(1, ("no_meter", sample("ml-acme")))))
    assert state(line, "evt_full").error == "" and requests(line) == {("acme", "reconcile")}
