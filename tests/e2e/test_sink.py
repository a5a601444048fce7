"""The sink against the sandbox: what was counted reaches Stripe exactly once, whatever fails."""

import datetime
import json
import signal

import psycopg2
import pytest

from line import process
from line.stages import program

EVENTS = "/v1/billing/meter_events"
KNOWN = [("llm_tokens", "sum"), ("agent_executions", "sum"), ("api_calls", "sum"),
         ("storage_gb", "last"), ("user_seats", "last")]


@pytest.fixture
def shop(line):
    """A line with the sandbox and its meters. Subscriptions began 20 days ago."""
    line.settings["SINK_RATE_PER_S"] = "1000"
    line.start_sandbox()
    line.tenants = {}
    return line


def add_tenants(line, *tenants, days=20):
    """Customers in the sandbox and in our table, as webhookd would write them; no subscriptions."""
    start = int(line.value("SELECT extract(epoch FROM now())::bigint")) - days * 86400
    made = line.sandbox.bootstrap(
        meters=[{"event_name": name, "formula": formula} for name, formula in KNOWN],
        tenants=list(tenants), backdate_start_date=start)
    for tenant in tenants:
        line.tenants[tenant] = made["tenants"][tenant]["customer"]
        line.sql("INSERT INTO billing_customers (tenant, stripe_customer_id) VALUES (%s, %s)",
                 tenant, line.tenants[tenant])


def count(line, tenant, metric, quantity, at="now()"):
    """A period's total, as the aggregator would write it after more usage."""
    line.sql(f"""
        INSERT INTO usage_totals AS t (tenant, metric, period_start, period_end, quantity, version,
                                       last_ms, last_entry)
        SELECT %s, %s, p.period_start, p.period_end, %s, nextval('usage_version'), 0, ''
          FROM billing_period(%s, {at}) p
        ON CONFLICT (tenant, metric, period_start) DO UPDATE
           SET quantity = excluded.quantity, version = excluded.version""",
             tenant, metric, quantity, tenant)


def once(line, **settings):
    return line.must("meterline-sink", "--once", **settings)


def total(line, tenant, metric):
    return line.sandbox.total(line.tenants[tenant], metric)


def states(line):
    return {row.state: row.n for row in line.sql(
        "SELECT state, count(*) AS n FROM usage_submissions GROUP BY state")}


def forget_leases(line):
    """As if the time had passed that a dead sink keeps its lanes."""
    line.sql("UPDATE usage_submissions SET lease_until = now() WHERE state = 'sending'")


def is_sent(line, n):
    return lambda: states(line) == {"sent": n}


def test_sum_and_last_reach_stripe_exactly_and_only_once(shop):
    add_tenants(shop, "acme")
    count(shop, "acme", "llm_tokens", "1234.9")
    count(shop, "acme", "user_seats", "7")
    once(shop)
    assert total(shop, "acme", "llm_tokens") == 1234
    assert total(shop, "acme", "user_seats") == 7
    assert states(shop) == {"sent": 2}
    once(shop)
    assert len(shop.sandbox.meter_events()) == 2
    left = shop.sql("SELECT metric, quantity, reason FROM usage_unbilled")
    assert [(row.metric, str(row.quantity.normalize()), row.reason) for row in left] == [
        ("llm_tokens", "0.9", "carried")]
