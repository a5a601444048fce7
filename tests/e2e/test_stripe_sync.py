"""`meterctl stripe sync` makes the database what Stripe says, however often it is killed on the way."""

import json
import os
import time
import urllib.parse

import pytest

from line.line import TEST_WEBHOOK_SECRET
from sandbox.client import Sandbox

METERS = [{"event_name": f"meter_{n:02}"} for n in range(11)]
# For the long run: SYNC_CUSTOMERS=10000 SYNC_KILLS=5.
CUSTOMERS = int(os.environ.get("SYNC_CUSTOMERS", "700"))
KILLS = int(os.environ.get("SYNC_KILLS", "2"))


@pytest.fixture
def stripe():
    with Sandbox.start(rate_per_s=0) as sandbox:
        yield sandbox


def sync(line, stripe, **settings):
    return line.must("meterctl", "stripe", "sync", "--json", timeout=600, **settings_of(stripe, **settings))


def settings_of(stripe, **settings):
    return {"STRIPE_API_BASE": stripe.url, "RECONCILE_RATE_PER_S": "100", **settings}


def everything(stripe, path, **query):
    found = []
    while True:
        page = stripe.api("GET", path, {"limit": 100, **query}).json
        found += page["data"]
        if not page["has_more"]:
            return found
        query["starting_after"] = found[-1]["id"]


def items_of(stripe, sub):
    items = sub["items"]
    if not items["has_more"]:
        return items["data"]
    return everything(stripe, "/v1/subscription_items", subscription=sub["id"])


def at_stripe(stripe):
    """customers: id -> tenant, email; subscriptions: id -> customer, status, ends; items: id -> price; invoices."""
    customers = {c["id"]: (c["metadata"].get("tenant"), c["email"]) for c in everything(stripe, "/v1/customers")}
    subs = everything(stripe, "/v1/subscriptions", status="all")
    items = {item["id"]: (sub["id"], item["price"]["id"], item["current_period_end"])
             for sub in subs for item in items_of(stripe, sub)}
    return {"customers": customers, "items": items,
            "subscriptions": {s["id"]: (s["customer"], s["status"], s["ended_at"]) for s in subs},
            "invoices": {i["id"]: (i["customer"], i["status"], i["period_end"])
                         for i in everything(stripe, "/v1/invoices")}}


def seconds(column):
    return f"extract(epoch FROM {column})::bigint"


def in_database(line):
    def table(query):
        return {row[0]: tuple(row)[1:] for row in line.sql(query)}
    return {
        "customers": table("SELECT stripe_customer_id, tenant, email FROM stripe_customers WHERE deleted_at IS NULL"),
        "items": table("SELECT stripe_subscription_item_id, stripe_subscription_id, stripe_price_id,"
                       f" {seconds('current_period_end')} FROM subscription_items"),
        "subscriptions": table(f"SELECT stripe_subscription_id, stripe_customer_id, status, {seconds('ended_at')}"
                               " FROM subscriptions"),
        "invoices": table(f"SELECT stripe_invoice_id, stripe_customer_id, status, {seconds('period_end')} FROM invoices")}


def differences(stripe, line):
    truth, ours = at_stripe(stripe), in_database(line)
    return {kind: (truth[kind].items() ^ ours[kind].items()) for kind in truth if truth[kind] != ours[kind]}


def make_account(stripe, count):
    """Most have ten items or fewer, three have twelve; some subscriptions are canceled, and one period has passed."""
    made = stripe.bootstrap(tenants=[f"t{n:05}" for n in range(count)], price_lookup_key="standard")["tenants"]
    made |= stripe.bootstrap(tenants=["wide_1", "wide_2", "wide_3"], price_lookup_key="standard",
                             meters=METERS)["tenants"]
    tenants = list(made)
    for tenant in tenants[::97]:
        stripe.api("DELETE", f"/v1/subscriptions/{made[tenant]['subscription']}")
    return made


def read_so_far(line):
    return line.value("SELECT coalesce(sum(v::bigint), 0)::bigint FROM stripe_catch_up, jsonb_each_text(read_count) c (k, v)"
                      " WHERE name = 'objects'")


def test_an_account_is_imported_though_it_is_killed(line, stripe):
    make_account(stripe, CUSTOMERS)
    begun = time.monotonic()
    for kill in range(KILLS):
        goal = (kill + 1) * 2 * CUSTOMERS // (KILLS + 1)
        run = line.start("meterctl", args=["stripe", "sync"], **settings_of(stripe))
        line.wait_for(lambda: read_so_far(line) >= goal or not run.running, 300, f"{goal} objects")
        assert run.running, run.log_tail()
        run.kill9()
    calls = len(stripe.requests("/v1/", limit=100_000))
    done = sync(line, stripe)
    report = json.loads(done.stdout)
    print(f"{report} after {KILLS} kills in {time.monotonic() - begun:.0f} s")
    assert "going on where the last run stopped" in done.stderr
    assert report["customers"] >= CUSTOMERS + 3 and report["subscriptions"] >= CUSTOMERS + 3
    assert report["without_tenant"] == report["without_plan"] == report["odd"] == report["gone"] == 0
    again = [r for r in stripe.requests("/v1/", limit=100_000)[calls:] if r["path"] == "/v1/customers"]
    assert not again, "customers were read before the last kill"
    assert differences(stripe, line) == {}
    assert line.value("SELECT count(*) FROM usage_quotas WHERE limit_quantity = 1000000 AND metric = 'llm_tokens'") > 0
    assert line.value("SELECT count(*) FROM billing_customers") == CUSTOMERS + 3


def test_what_a_price_with_tiers_earns_is_known(line, stripe):
    """A subscription does not tell the tiers of its prices; the list of prices does."""
    product = stripe.api("POST", "/v1/products", {"name": "Seats"}).json["id"]
    price = stripe.api("POST", "/v1/prices", {
        "product": product, "currency": "usd", "recurring": {"interval": "month"}, "billing_scheme": "tiered",
        "tiers_mode": "graduated", "tiers": [{"up_to": 2, "unit_amount": 1000}, {"up_to": "inf", "unit_amount": 600}]}).json
    customer = stripe.api("POST", "/v1/customers", {"metadata": {"tenant": "acme"}}).json["id"]
    stripe.api("POST", "/v1/subscriptions", {"customer": customer, "items": [{"price": price["id"], "quantity": 5}],
                                             "collection_method": "send_invoice", "days_until_due": 30})
    sync(line, stripe)
    assert line.value("SELECT jsonb_array_length(tiers) FROM stripe_prices WHERE stripe_price_id = %s", price["id"]) == 2
    assert line.value("SELECT jsonb_array_length(tiers) FROM subscription_items") == 2
    assert [tuple(row) for row in line.sql("SELECT (mrr).numerator / (mrr).denominator, is_known FROM customer_mrr")] == [
        (2 * 1000 + 3 * 600, True)]


def test_what_has_changed_or_gone_is_so_after_the_next_run(line, stripe):
    """Without a webhook of it: a customer deleted, a subscription canceled, one made, a period that passed."""
    made = make_account(stripe, 30)
    first = json.loads(sync(line, stripe).stdout)
    assert first["customers"] == 33 and differences(stripe, line) == {}
    stripe.api("DELETE", f"/v1/customers/{made['t00003']['customer']}")
    stripe.api("DELETE", f"/v1/subscriptions/{made['t00004']['subscription']}")
    stripe.api("POST", "/v1/customers", {"email": "no@tenant.example"})
    stripe.clock(31 * 86400)
    report = json.loads(sync(line, stripe).stdout)
    assert report["gone"] == 1 and report["without_tenant"] == 1
    truth = at_stripe(stripe)
    assert differences(stripe, line) == {} and len(truth["invoices"]) > 20
    assert line.value("SELECT deleted_at IS NOT NULL FROM billing_customers WHERE tenant = 't00003'")
    assert line.value("SELECT status FROM subscriptions WHERE tenant = 't00004'") == "canceled"
    before = line.value("SELECT count(*) FROM subscription_states")
    assert json.loads(sync(line, stripe).stdout)["gone"] == 0 and differences(stripe, line) == {}
    assert line.value("SELECT count(*) FROM subscription_states") == before, "what is known is no change"


@pytest.mark.parametrize("version, discounts", [("2026-10-28.endive", "data.discounts.source.coupon"), ("2025-03-31.basil", "data.discounts")])
def test_lists_tell_what_discounts_take_off(line, stripe, version, discounts):
    """Monthly revenue would be too high until the next event of a subscription."""
    make_account(stripe, 1)
    sync(line, stripe, STRIPE_API_VERSION=version)
    asked = [urllib.parse.unquote(r["query"]).split("&") for r in stripe.requests("/v1/subscriptions")
             if (r["method"], r["path"]) == ("GET", "/v1/subscriptions")]
    assert asked and all({"status=all", "expand[]=data.latest_invoice", f"expand[]={discounts}"} <= set(query) for query in asked)


def test_limits_reach_the_cache_by_a_webhookd_that_runs_beside_it(line, stripe):
    """And what an event told meanwhile is not undone by a page that was read before it."""
    stage = line.start_webhookd(STRIPE_SECRET_KEY=None).wait_ready()
    make_account(stripe, 20)
    sync(line, stripe)
    line.wait_for(lambda: line.client().hget("quota:{t00007}", "llm_tokens.limit") == "1000000", 10)
    stripe.webhook(stage.webhook_url, secret=TEST_WEBHOOK_SECRET)
    slow = stripe.fault("delay", path="/v1/subscriptions", method="GET", delay_ms=3000)
    run = line.start("meterctl", args=["stripe", "sync"], **settings_of(stripe))
    line.wait_for(lambda: any(f["id"] == slow and f["fired"] for f in stripe.faults()))
    sub = line.value("SELECT stripe_subscription_id FROM subscriptions WHERE tenant = 't00007'")
    stripe.api("POST", f"/v1/subscriptions/{sub}", {"cancel_at_period_end": "true"})
    ends = "SELECT cancel_at_period_end FROM subscriptions WHERE tenant = 't00007'"
    line.wait_for(lambda: line.value(ends))
    assert run.running, "it waits for the page"
    line.wait_for(lambda: not run.running, 60)
    assert line.value(ends)
    assert line.value("SELECT started_at IS NULL AND done_at IS NOT NULL FROM stripe_catch_up WHERE name = 'objects'")


def test_only_one_runs_at_a_time(line, stripe):
    make_account(stripe, 5)
    stripe.fault("delay", path="/v1/customers", method="GET", delay_ms=1500)
    line.sql("UPDATE stripe_catch_up SET owner = 'meterctl another', lease_until = now() + interval '10 minutes'"
             " WHERE name = 'objects'")
    run = line.start("meterctl", args=["stripe", "sync"], **settings_of(stripe))
    time.sleep(0.5)
    assert run.running
    run.kill9()
    line.sql("UPDATE stripe_catch_up SET lease_until = now() + interval '1 s'")
    assert json.loads(sync(line, stripe).stdout)["customers"] == 8, "the other one's lease has passed"


@pytest.mark.parametrize("fault, code, says", [
    ({"fault": "status", "status": 403, "path": "/v1/subscriptions"}, 1, "does not let our key read subscriptions (403)"),
    ({"fault": "status", "status": 401, "path": "/v1/"}, 1, "(401)"),
    ({"fault": "status", "status": 500, "path": "/v1/customers", "times": 2}, 0, "")])
def test_what_stripe_refuses_is_said_and_what_passes_is_tried_again(line, stripe, fault, code, says):
    make_account(stripe, 3)
    stripe.fault(method="GET", **fault)
    done = line.meterctl("stripe", "sync", **settings_of(stripe))
    assert done.returncode == code and says in done.stderr
    stripe.clear_faults()
    sync(line, stripe)
    assert differences(stripe, line) == {}


def test_it_needs_a_key(line, stripe):
    done = line.meterctl("stripe", "sync", **settings_of(stripe, STRIPE_SECRET_KEY=None))
    assert done.returncode == 2 and "STRIPE_SECRET_KEY" in done.stderr
