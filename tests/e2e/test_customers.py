"""meterctl customers: by which customer a tenant is billed, and who decides where two claim it."""

import json

import pytest

from support.webhooks import NOW, Events, customer, deliver


def subscription(id, customer_id):
    return {"id": id, "object": "subscription", "customer": customer_id, "status": "active", "start_date": NOW,
            "billing_cycle_anchor": NOW, "metadata": {}, "items": {"data": [{
                "id": f"si_{id}", "quantity": 1, "current_period_start": NOW, "current_period_end": NOW + 30 * 86400,
                "price": {"id": "price_1", "lookup_key": "standard", "unit_amount": 9900, "currency": "usd",
                          "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"}}}]}}


def rows(line, *args):
    return json.loads(line.must("meterctl", "customers", *args, "--json").stdout)


def billed(line):
    return [tuple(row) for row in line.sql("SELECT tenant, stripe_customer_id, contested_since IS NOT NULL FROM billing_customers"
                                           " ORDER BY 1")]


@pytest.fixture(name="work")
def work_fixture(line):
    """Has one event worked."""
    stage, events = line.start_webhookd(STRIPE_SECRET_KEY=None).wait_ready(), Events()

    def work(kind, obj, created=NOW):
        id = deliver(stage, events.make(kind, obj, created))
        line.wait_for(lambda: line.value("SELECT state FROM webhook_events WHERE event_id = %s", id) == "processed", 20, kind)
    return work


def contest(work):
    for number in (1, 2):
        work("customer.created", customer(f"cus_{number}", created=NOW + number), NOW + number)
        work("customer.subscription.created", subscription(f"sub_{number}", f"cus_{number}"), NOW + 2 + number)


def test_a_person_decides_between_two(line, work):
    """The decision stands against whatever comes later, until that customer is deleted; status and history tell."""
    contest(work)
    assert billed(line) == [("acme", "cus_1", True)]
    listed, = rows(line, "list", "--contested")
    assert (listed["tenant"], listed["customer"], listed["state"], listed["others"], listed["subscriptions"]) == (
        "acme", "cus_1", "contested", "cus_2", 2)
    problems = json.loads(line.meterctl("status", "--json").stdout)["customers"]
    assert [(row["problem"], row["tenants"], row["first"]) for row in problems] == [
        ("contested", 1, "acme"), ("two_subscriptions", 1, "acme")]
    shown = rows(line, "show", "cus_2")
    assert [(row["customer"], row["state"], row["subscription"], row["named_by"]) for row in shown] == [
        ("cus_1", "contested", "sub_1", "the customer"), ("cus_2", "superseded", "sub_2", "the customer")]
    asked = line.meterctl("customers", "move", "acme", "cus_2")
    assert asked.returncode == 1 and "--yes" in asked.stderr
    assert billed(line) == [("acme", "cus_1", True)]
    moved = line.must("meterctl", "customers", "move", "acme", "cus_2", "--yes")
    assert "goes on being charged" in moved.stderr
    assert billed(line) == [("acme", "cus_2", False)]
    history = line.sql("SELECT object_id, detail #>> '{before,customer}' AS was, detail #>> '{after,customer}' AS now,"
                       " detail #>> '{after,by}' AS by FROM billing_history WHERE kind = 'customer_moved'")
    assert [tuple(row) for row in history] == [("cus_2", "cus_1", "cus_2", line.value("SELECT session_user"))]
    work("customer.updated", customer("cus_1", email="new@acme.test", created=NOW + 1), NOW + 9)
    work("customer.subscription.updated", subscription("sub_1", "cus_1"), NOW + 9)
    assert billed(line) == [("acme", "cus_2", False)]
    line.must("meterctl", "customers", "move", "acme", "cus_2", "--yes")
    assert line.value("SELECT count(*) FROM billing_history WHERE kind = 'customer_moved'") == 1, "it was so already"
    line.must("meterctl", "customers", "move", "acme", "cus_1", "--yes")
    line.must("meterctl", "customers", "move", "acme", "cus_2", "--yes")
    work("customer.deleted", customer("cus_2", created=NOW + 2), NOW + 20)
    assert billed(line) == [("acme", "cus_1", False)]
    refused = line.meterctl("customers", "move", "acme", "cus_2", "--yes")
    assert refused.returncode == 1 and "deleted" in refused.stderr


def test_what_cannot_be_decided_here_is_refused(line, work):
    work("customer.created", customer())
    work("customer.created", customer("cus_2", "other"))
    for args, why in ((("acme", "cus_2"), "belongs to the tenant other"), (("acme", "cus_9"), "no event"),
                      (("nobody", "cus_1"), "no such tenant")):
        done = line.meterctl("customers", "move", *args, "--yes")
        assert done.returncode == 1 and why in done.stderr, args
    assert billed(line) == [("acme", "cus_1", False), ("other", "cus_2", False)]
    assert [row["tenant"] for row in rows(line, "list")] == ["acme", "other"] and rows(line, "list", "--contested") == []
    assert line.meterctl("customers", "show", "nobody").returncode == 1
    assert "no customer at Stripe" in line.must("meterctl", "customers", "show", "cus_9").stdout
