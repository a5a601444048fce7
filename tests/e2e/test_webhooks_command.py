"""meterctl webhooks: what Stripe sent is listed, shown and worked again."""

import json

import pytest

from support.webhooks import NOW, Events, customer, deliver


@pytest.fixture
def told(line):
    """One event processed, one failed, one ignored for want of a tenant, one whose type has no effect."""
    events = Events()
    line.sql("""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = '22023'; END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON billing_customers FOR EACH ROW WHEN (new.tenant = 'bad')
        EXECUTE FUNCTION refuse()""")
    stage = line.start_webhookd(STRIPE_SECRET_KEY=None).wait_ready()
    ids = {"processed": deliver(stage, events.make("customer.created", customer())),
           "failed": deliver(stage, events.make("customer.created", customer("cus_bad", "bad"), NOW + 1)),
           "ignored": deliver(stage, events.make("customer.created", customer("cus_3", None), NOW + 2)),
           "other": deliver(stage, events.make("product.updated", {"id": "prod_1"}, NOW + 3))}
    stage.wait_log("webhook_delayed", id=ids["failed"])
    line.sql("UPDATE webhook_events SET attempts = 7, next_attempt_at = now() WHERE event_id = %s", ids["failed"])
    line.wait_for(lambda: line.value("SELECT count(*) FROM webhook_events WHERE state = 'received'") == 0)
    return ids


def listed(line, *args):
    rows = json.loads(line.must("meterctl", "webhooks", "list", "--json", *args).stdout)
    return {row["event_id"] for row in rows}


def test_events_are_found_by_what_they_are(line, told):
    everything = set(told.values())
    assert listed(line) == everything
    assert listed(line, "--state", "failed") == {told["failed"]}
    assert listed(line, "--type", "customer.*") == everything - {told["other"]}
    assert listed(line, "--type", "customer.updated") == set()
    assert listed(line, "--tenant", "acme") == {told["processed"]}
    assert listed(line, "--customer", "cus_3") == {told["ignored"]}
    assert listed(line, "--since", "1h") == everything and listed(line, "--before", "1h") == set()
    assert len(listed(line, "--limit", "2")) == 2
    text = line.must("meterctl", "webhooks", "list", "--wide").stdout
    assert "not now" in text and "no tenant" in text and "cus_bad" in text
    assert "no such events" in line.must("meterctl", "webhooks", "list", "--state", "received").stdout


def test_one_event_is_shown_with_its_body(line, told):
    shown = json.loads(line.must("meterctl", "webhooks", "show", told["failed"], "--json").stdout)
    assert shown["state"] == "failed" and shown["payload"]["data"]["object"]["id"] == "cus_bad"
    assert "replay" in shown["meaning"] and "not now" in shown["error"]
    text = line.must("meterctl", "webhooks", "show", told["processed"]).stdout
    assert "acme" in text and '"type": "customer.created"' in text
    missing = line.meterctl("webhooks", "show", "evt_none")
    assert missing.returncode == 1 and "there is no webhook event evt_none" in missing.stderr


def test_what_failed_is_worked_again(line, told):
    line.sql("DROP TRIGGER refuse ON billing_customers")
    tried = line.meterctl("webhooks", "replay", "--state", "failed")
    assert tried.returncode == 1 and "--yes to have 1 events" in tried.stderr
    assert listed(line, "--state", "failed") == {told["failed"]}
    assert "replayed 1 events" in line.must("meterctl", "webhooks", "replay", "--state", "failed", "--yes").stdout
    line.wait_for(lambda: listed(line, "--state", "processed") == {told["processed"], told["failed"]})
    assert line.value("SELECT count(*) FROM billing_customers WHERE tenant = 'bad'") == 1
    # Again, by name: what is processed is skipped, and what is not there is told.
    named = line.meterctl("webhooks", "replay", told["failed"], told["ignored"], "evt_none")
    assert named.returncode == 1 and f"skipped {told['failed']} state=processed" in named.stdout
    assert "there is no webhook event evt_none" in named.stderr and "replayed 1 events" in named.stdout
    line.wait_for(lambda: listed(line, "--state", "ignored") == {told["ignored"], told["other"]})
    assert line.value("SELECT count(*) FROM billing_history") == 2
    line.sql("UPDATE webhook_events SET payload = NULL WHERE event_id = %s", told["ignored"])
    assert "past its keep" in line.meterctl("webhooks", "replay", told["ignored"]).stdout


@pytest.mark.parametrize("args", [["--state", "lost"], ["--limit", "0"], ["extra"]])
def test_wrong_usage_of_list(line, args):
    assert line.meterctl("webhooks", "list", *args).returncode == 2


@pytest.mark.parametrize("args", [[], ["--state", "processed"], ["evt_1", "--state", "failed"], ["--yes"]])
def test_wrong_usage_of_replay(line, args):
    assert line.meterctl("webhooks", "replay", *args).returncode == 2
