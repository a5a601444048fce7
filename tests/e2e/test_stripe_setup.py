"""`meterctl stripe setup` gives an account what the catalog needs, once, and touches nothing else."""

import json
import time

import pytest

from line.line import TEST_KEY, TEST_WEBHOOK_SECRET
from sandbox.client import Sandbox
from support.stripe_setup import (
    OLD, URL, account, calls, catalog_of, everything, file_of, last, made_once, prices, set_up,
    settings_of, start, writes
)


@pytest.fixture
def stripe():
    with Sandbox.start(rate_per_s=0) as sandbox:
        yield sandbox


# What is made.

@pytest.mark.parametrize("version", [OLD, "2025-03-31.basil", "2026-10-28.endive"])
def test_an_empty_account_gets_the_catalog_and_then_nothing_more(line, stripe, version):
    done = set_up(line, stripe, "metered", STRIPE_API_VERSION=version)
    assert done.returncode == 0, done.stderr
    made_once(stripe, catalog_of("metered"))
    assert last(done) == {"created": "50", "changed": "0", "replaced": "0", "keep": "0", "warn": "0"}
    seen = len(calls(stripe))
    again = set_up(line, stripe, "metered", STRIPE_API_VERSION=version)
    assert again.returncode == 0 and again.stdout == "setup created=0 changed=0 replaced=0 keep=50 warn=0\n", again.stdout
    assert writes(stripe, seen) == []


def test_prices_are_what_the_catalog_says(line, stripe):
    set_up(line, stripe, "metered")
    found, meters = prices(stripe), {m["event_name"]: m for m in everything(stripe, "meter")}
    fee = found["standard"]
    assert (fee["product"], fee["currency"], fee["unit_amount"], fee["recurring"]["interval"],
            fee["recurring"]["usage_type"]) == ("ml_standard", "usd", 9900, "month", "licensed")
    assert fee["metadata"] == {"meterline": "fee", "plan": "standard"}
    year = found["standard_year"]
    assert (year["unit_amount"], year["recurring"]["interval"], year["metadata"]["plan"]) == (99000, "year", "standard")
    usage = found["standard_llm_tokens"]
    assert (usage["product"], usage["recurring"]["usage_type"]) == ("ml_llm_tokens", "metered")
    assert usage["recurring"]["meter"] == meters["llm_tokens"]["id"]
    assert [(t["up_to"], t["unit_amount_decimal"]) for t in usage["tiers"]] == [(1000000, "0"), (None, "0.001")]
    assert usage["metadata"] == {"meterline": "usage", "plan": "standard", "metric": "llm_tokens"}
    assert found["standard_jpy"]["unit_amount"] == 14800 and found["standard_jpy"]["currency"] == "jpy"
    assert [t["unit_amount_decimal"] for t in found["standard_jpy_api_calls"]["tiers"]] == ["0", "0.15"]
    # Without an overage usage costs nothing, and what is unlimited needs no price.
    assert [(t["up_to"], t["unit_amount_decimal"]) for t in found["free_api_calls"]["tiers"]] == [(None, "0")]
    assert "enterprise_user_seats" not in found
    assert {name: m["default_aggregation"]["formula"] for name, m in meters.items()} == {
        "llm_tokens": "sum", "agent_executions": "sum", "api_calls": "sum", "storage_gb": "last", "user_seats": "last"}
    (tax,), (portal,) = everything(stripe, "tax_rate"), everything(stripe, "portal")
    assert (tax["percentage"], tax["inclusive"], tax["display_name"]) == (8, False, "Sales tax")
    assert portal["features"]["subscription_cancel"] | {"enabled": True, "mode": "at_period_end"} == \
        portal["features"]["subscription_cancel"]
    assert not portal["features"]["subscription_update"]["enabled"]


def test_a_price_for_each_seat_and_no_price_for_a_plan_that_is_sold_by_hand(line, stripe):
    catalog = catalog_of("per-seat")
    catalog["plans"][1] |= {"base_amount_minor": 2000, "yearly_amount_minor": 20000}
    assert set_up(line, stripe, catalog).returncode == 0
    found = prices(stripe)
    assert set(found) == {"basic", "basic_year", "pro", "pro_year"}
    assert (found["basic"]["unit_amount"], found["basic_year"]["unit_amount"]) == (100, 1000)
    # A fee beside the seats is the flat amount of the one tier.
    assert [(t["up_to"], t["flat_amount"], t["unit_amount"]) for t in found["pro"]["tiers"]] == [(None, 2000, 500)]
    assert [p["id"] for p in everything(stripe, "product")] == ["ml_basic", "ml_pro", "ml_enterprise"]
    assert set_up(line, stripe, catalog, "--check").returncode == 0


def test_usage_records_have_a_price_without_a_meter(line, stripe):
    catalog = catalog_of("metered")
    for metric in catalog["metrics"][:1]:
        metric["transport"] = "usage_records"
    assert set_up(line, stripe, catalog).returncode == 0
    price = prices(stripe)["standard_llm_tokens"]
    assert price["recurring"]["meter"] is None and price["recurring"]["usage_type"] == "metered"
    assert "llm_tokens" not in [m["event_name"] for m in everything(stripe, "meter")]
    assert set_up(line, stripe, catalog, "--check").returncode == 0


def test_the_ids_are_noted_and_told_as_variables(line, stripe):
    done = set_up(line, stripe, "metered", "--env")
    found = prices(stripe)
    env = dict(row.split("=") for row in done.stdout.splitlines())
    assert env["STRIPE_PRICE_LLM_TOKENS_STANDARD"] == found["standard_llm_tokens"]["id"]
    assert env["STRIPE_PRICE_STANDARD"] == found["standard"]["id"]
    assert env["STRIPE_PRICE_STANDARD_YEAR"] == found["standard_year"]["id"]
    assert env["STRIPE_TAX_RATE"] == everything(stripe, "tax_rate")[0]["id"]
    assert env["STRIPE_PORTAL_CONFIGURATION"] == everything(stripe, "portal")[0]["id"]
    assert len(env) == len(found) + 2 and "created  price" in done.stderr
    noted = {row.name: row for row in line.sql("SELECT * FROM stripe_setup WHERE kind = 'price'")}
    assert {name: row.stripe_id for name, row in noted.items()} == {key: p["id"] for key, p in found.items()}
    usage, year = noted["standard_llm_tokens"], noted["standard_year"]
    assert (usage.plan, usage.metric, usage.yearly, usage.livemode) == ("standard", "llm_tokens", False, False)
    assert (year.plan, year.metric, year.yearly) == ("standard", None, True)
    smaller = catalog_of("metered")
    del smaller["plans"][4], smaller["tax"]
    assert set_up(line, stripe, smaller).returncode == 0
    assert line.value("SELECT count(*) FROM stripe_setup WHERE plan = 'enterprise' OR kind = 'tax_rate'") == 0
    assert "enterprise" in prices(stripe)


# What changes.

def test_a_dry_run_tells_and_does_nothing(line, stripe):
    assert set_up(line, stripe, "metered", "--check").returncode == 2
    done = set_up(line, stripe, "metered", "--dry-run")
    assert done.returncode == 0 and last(done)["create"] == "50"
    assert writes(stripe) == [] and line.value("SELECT count(*) FROM stripe_setup") == 0
    set_up(line, stripe, "metered")
    assert set_up(line, stripe, "metered", "--check").returncode == 0
    steps = json.loads(set_up(line, stripe, "metered", "--dry-run", "--json").stdout)
    assert {step["action"] for step in steps} == {"keep"} and all(step["id"] for step in steps)


def test_what_may_change_is_changed_and_the_rest_replaced(line, stripe):
    catalog = catalog_of("metered")
    set_up(line, stripe, catalog)
    before = prices(stripe)
    catalog["plans"][1] |= {"name": "Business", "base_amount_minor": 12000}
    catalog["plans"][1]["limits"]["llm_tokens"]["overage"]["amount_minor"] = "2"
    catalog["metrics"][2]["name"] = "Calls"
    catalog["tax"]["percentage"] = "8.25"
    told = set_up(line, stripe, catalog, "--dry-run").stdout.splitlines()
    assert "change   product          ml_standard: name Standard to Business" in told
    assert any(row.startswith("replace  price            standard: ") and "unit_amount 9900 to 12000" in row
               for row in told)
    assert any(row.startswith("replace  price            standard_llm_tokens: ")
               and "tiers[1].unit_amount_decimal 0.001 to 0.002" in row for row in told)
    assert any(row.startswith("replace  tax_rate         tax: percentage 8 to 8.25") for row in told)
    done = set_up(line, stripe, catalog)
    assert done.returncode == 0, done.stderr
    after = prices(stripe)
    assert after["standard"]["unit_amount"] == 12000 and after["standard"]["id"] != before["standard"]["id"]
    old = stripe.api("GET", f"/v1/prices/{before['standard']['id']}").json
    assert (old["lookup_key"], old["active"], old["metadata"]["plan"]) == (None, True, "standard")
    assert after["standard_year"]["id"] == before["standard_year"]["id"]
    assert sorted(t["percentage"] for t in everything(stripe, "tax_rate")) == [8, 8.25]
    assert everything(stripe, "meter")[2]["display_name"] == "Calls"
    assert set_up(line, stripe, catalog, "--check").returncode == 0
    assert line.value("SELECT stripe_id FROM stripe_setup WHERE name = 'standard'") == after["standard"]["id"]


def test_an_amount_may_go_there_and_back_within_a_day(line, stripe):
    """Stripe gives an answer of the same key again, for what is no longer so."""
    catalog = catalog_of("per-seat")
    for amount in (100, 200, 100, 200, 100):
        catalog["plans"][0]["seat"]["amount_minor"] = amount
        catalog["plans"][0]["name"] = f"Basic {amount}"
        assert set_up(line, stripe, catalog).returncode == 0
        assert prices(stripe)["basic"]["unit_amount"] == amount
        assert stripe.api("GET", "/v1/products/ml_basic").json["name"] == f"Basic {amount}"


def test_what_was_archived_comes_back(line, stripe):
    set_up(line, stripe, "metered")
    meter = everything(stripe, "meter")[0]
    stripe.api("POST", f"/v1/billing/meters/{meter['id']}/deactivate")
    stripe.api("POST", "/v1/products/ml_free", {"active": False})
    stripe.api("POST", f"/v1/prices/{prices(stripe)['free']['id']}", {"active": False})
    done = set_up(line, stripe, "metered")
    assert done.returncode == 0 and last(done)["changed"] == "3", done.stdout
    assert stripe.api("GET", f"/v1/billing/meters/{meter['id']}").json["status"] == "active"
    assert stripe.api("GET", "/v1/products/ml_free").json["active"] and prices(stripe)["free"]["active"]


def test_the_line_knows_the_plan_of_who_buys_these_prices_and_of_who_keeps_an_old_one(line, stripe):
    """By its lookup key, and by its metadata once another price has taken that over."""
    line.settings["STRIPE_API_BASE"] = stripe.url
    webhookd = line.start_webhookd().wait_ready()
    catalog = catalog_of("metered")
    catalog["plans"][1]["stripe_lookup_key"] = "standard_2026"
    line.must("meterctl", "catalog", "apply", file_of(line, catalog))
    stripe.webhook(webhookd.webhook_url, secret=TEST_WEBHOOK_SECRET, enabled_events=["*"])
    assert set_up(line, stripe, catalog).returncode == 0
    old = prices(stripe)
    catalog["plans"][1]["base_amount_minor"] = 12000
    assert set_up(line, stripe, catalog).returncode == 0
    new = prices(stripe)
    sold = {"acme": old, "globex": new}
    for tenant, found in sold.items():
        customer = stripe.api("POST", "/v1/customers", {"metadata": {"tenant": tenant}, "payment_method": "pm_card_visa",
                                                        "invoice_settings": {"default_payment_method": "pm_card_visa"}}).json
        made = stripe.api("POST", "/v1/subscriptions", {"customer": customer["id"], "items": [
            {"price": found["standard_2026"]["id"]}, {"price": found["standard_2026_api_calls"]["id"]}]})
        assert made.status == 200, made.body
    plans = "SELECT tenant, plan FROM subscriptions ORDER BY tenant"
    line.wait_for(lambda: [tuple(row) for row in line.sql(plans)] == [("acme", "standard"), ("globex", "standard")], 30, "plans")
    assert line.value("SELECT count(DISTINCT stripe_price_id) FROM subscription_items WHERE metric IS NULL") == 2
    assert line.value("SELECT count(*) FROM subscription_items WHERE metric = 'api_calls'") == 2
    done = line.meterctl("doctor", "--json", **settings_of(stripe))
    found = [row for row in json.loads(done.stdout) if row["check"] in ("meter", "price", "permission", "webhook endpoint")]
    assert [row for row in found if row["result"] != "ok"] == [] and len(found) == 10


# What is not ours.

def test_five_hundred_other_products_cost_nothing_and_are_not_touched(line):
    with Sandbox.start(rate_per_s=0) as stripe:
        for i in range(500):
            stripe.api("POST", "/v1/products", {"id": f"other_{i}", "name": f"Other {i}"})
        for i in range(120):
            stripe.api("POST", "/v1/prices", {"product": f"other_{i}", "currency": "usd", "unit_amount": i,
                                              "lookup_key": f"other_{i}", "recurring": {"interval": "month"}})
        before = account(stripe)
        stripe.set(rate_per_s=25)
        began = time.monotonic()
        done = set_up(line, stripe, "metered", SINK_RECONCILE_RATE_PER_S="20")
        assert done.returncode == 0, done.stderr
        assert time.monotonic() - began < 60
        stripe.set(rate_per_s=0)
        after = account(stripe)
        for kind in ("product", "price"):
            assert after[kind][:len(before[kind])] == before[kind]
        seen = len(calls(stripe))
        assert set_up(line, stripe, "metered", "--check").returncode == 0
        assert len(calls(stripe, seen)) < 15


def test_what_somebody_else_made_is_left_alone_until_it_is_adopted(line, stripe):
    stripe.api("POST", "/v1/products", {"id": "ml_free", "name": "Mine"})
    stripe.api("POST", "/v1/products", {"id": "prod_1", "name": "Mine"})
    other = stripe.api("POST", "/v1/prices", {"product": "prod_1", "currency": "usd", "unit_amount": 1,
                                              "lookup_key": "standard", "recurring": {"interval": "month"}}).json
    done = set_up(line, stripe, "metered")
    assert done.returncode == 1
    (told,) = [row for row in done.stdout.splitlines() if row.startswith("warn     price            standard: ")]
    assert "product prod_1 to ml_standard; " in told and "unit_amount 1 to 9900; " in told
    assert told.endswith(f"{other['id']} was made by somebody else (metadata has no meterline), so it is left alone: "
                         "--adopt takes it over")
    assert stripe.api("GET", "/v1/products/ml_free").json["name"] == "Mine"
    assert stripe.api("GET", f"/v1/prices/{other['id']}").json == other
    # Its prices wait for the product.
    assert "free" not in prices(stripe) and "standard_year" in prices(stripe)
    assert set_up(line, stripe, "metered", "--check").returncode == 2
    done = set_up(line, stripe, "metered", "--adopt")
    assert done.returncode == 0, done.stdout
    assert prices(stripe)["standard"]["unit_amount"] == 9900
    assert stripe.api("GET", "/v1/products/ml_free").json["name"] == "Free"
    assert set_up(line, stripe, "metered", "--check").returncode == 0


def test_a_meter_that_counts_otherwise_is_told(line, stripe):
    stripe.api("POST", "/v1/billing/meters", {"display_name": "X", "event_name": "api_calls",
                                              "default_aggregation": {"formula": "last"}})
    done = set_up(line, stripe, "metered")
    assert done.returncode == 1
    assert "warn     meter            api_calls: the meter of api_calls has formula last, not sum" in done.stdout
    assert "warn     price            standard_api_calls: waits until the meter api_calls is right" in done.stdout
    assert "standard_api_calls" not in prices(stripe) and "standard_llm_tokens" in prices(stripe)


# What it says.

def test_stripes_refusal_is_told_with_the_step(line, stripe):
    stripe.fault("status", path="/v1/prices", method="POST", status=400,
                 body={"error": {"type": "invalid_request_error", "message": "No such thing as usd."}})
    done = set_up(line, stripe, "metered")
    assert done.returncode == 1
    assert "No such thing as usd." in done.stderr and "create price free" in done.stderr
    assert "run it again, and it goes on where it stopped" in done.stderr


def test_a_key_that_may_not_is_told(line, stripe):
    stripe.key(TEST_KEY, refused=["POST /v1/products"])
    done = set_up(line, stripe, "metered")
    assert done.returncode == 1 and "403" in done.stderr and "create product ml_free" in done.stderr
    stripe.key(TEST_KEY, expired=True)
    done = set_up(line, stripe, "metered", "--dry-run")
    assert done.returncode == 1 and "401" in done.stderr
    assert set_up(line, stripe, "metered", STRIPE_SECRET_KEY="sk_live_x").returncode == 2


def test_what_the_catalog_cannot_be_at_stripe_is_told(line, stripe):
    catalog = catalog_of("metered")
    catalog["plans"][1]["limits"]["llm_tokens"]["included"] = "0.5"
    catalog["plans"][1]["limits"]["api_calls"]["window"] = "day"
    catalog["plans"][1]["limits"]["active_users"] = {"included": "5", "cap": "none",
                                                     "overage": {"amount_minor": "1", "per": "1"}}
    done = set_up(line, stripe, catalog, "--dry-run")
    assert [row for row in done.stdout.splitlines() if row.startswith("warn")] == [
        "warn     price            standard_llm_tokens: what is included is no whole number, as Stripe's tiers are",
        "warn     price            standard_api_calls: what is included counts by another window than Stripe's billing"
        " period",
        "warn     price            standard_active_users: its usage is not sent to Stripe (transport none), so this"
        " overage is never charged"]
    clash = catalog_of("per-seat")
    clash["plans"][0]["stripe_lookup_key"] = "pro_year"
    done = set_up(line, stripe, clash, "--dry-run")
    assert done.returncode == 1 and "two of the catalog would be the price pro_year at Stripe" in done.stderr
    assert calls(stripe, 0) == [] or writes(stripe) == []
    assert "plans[0].name: is missing" in set_up(line, stripe, {"metrics": [], "plans": [{}]}).stderr


@pytest.mark.parametrize("args", [["--webhook-url", URL], ["--secret-file", "x"], ["--json", "--env"], ["--what"]])
def test_wrong_usage(line, stripe, args):
    assert set_up(line, stripe, "metered", *args).returncode == 2
    assert calls(stripe) == []
