"""What tests of the sink share: a shop with customers, usage to be billed, and what became of it."""

import pytest

from line import logfmt

EVENTS = "/v1/billing/meter_events"
KNOWN = [("llm_tokens", "sum"), ("agent_executions", "sum"), ("api_calls", "sum"),
         ("storage_gb", "last"), ("user_seats", "last")]


@pytest.fixture
def shop(line):
    """A line with the sandbox and its meters. Subscriptions began 20 days ago."""
    line.settings["SINK_RATE_PER_S"] = "1000"
    line.start_sandbox(rate_per_s=0)
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


def subscribe(line, tenant, started, ended="NULL", status="active", name="sub_1"):
    line.sql(f"""
        INSERT INTO subscriptions (stripe_subscription_id, tenant, stripe_customer_id, status,
            current_period_start, current_period_end, billing_cycle_anchor, started_at, ended_at)
        SELECT %s, %s, %s, %s, s, s + interval '1 month', s, s, {ended}
          FROM (SELECT {started} AS s) x
        ON CONFLICT (stripe_subscription_id) DO NOTHING""",
             name, tenant, line.tenants[tenant], status)
    line.sql("SELECT refresh_billing_periods(%s)", tenant)


def unbilled(line):
    return {row.reason: str(row.quantity.normalize()) for row in line.sql(
        "SELECT reason, sum(quantity) AS quantity FROM usage_unbilled GROUP BY reason")}


def billing(line, metric):
    """The audit's balance of one metric, and what it finds wrong with claims."""
    text = line.meterctl("audit").stdout.splitlines()
    assert not [row for row in text if row.startswith(("audit claim", "audit value"))], text
    pairs = next(logfmt.pairs(row) for row in text if row.startswith(f"audit billing metric={metric} "))
    assert pairs["difference"] == "0", pairs
    return pairs


def claims(line, columns="quantity, state, usage_at"):
    return line.sql(f"SELECT {columns} FROM usage_submissions ORDER BY created_at, claim")


def finalize(line, tenant="acme"):
    """Stripe's invoice of the subscription's current period can change no more."""
    line.sql("""INSERT INTO invoices (stripe_invoice_id, tenant, stripe_customer_id, stripe_subscription_id,
                    status, currency, amount_due_minor, amount_paid_minor, period_start, period_end, finalized_at)
                SELECT 'in_' || tenant, tenant, stripe_customer_id, stripe_subscription_id, 'paid', 'usd', 0, 0,
                       current_period_start, current_period_end, now()
                  FROM subscriptions WHERE tenant = %s""", tenant)


def reconcile(line, *args, exit_code=0, **settings):
    done = line.meterctl("reconcile", *args, SINK_RECONCILE_RATE_PER_S=1000, **settings)
    assert done.returncode == exit_code, done.stdout + done.stderr
    return done


def age_sent(line):
    """As if it had been sent long enough ago for Stripe's summaries to show it."""
    line.sql("UPDATE usage_submissions SET sent_at = sent_at - interval '11 minutes'")


def hold(line):
    line.sql("UPDATE ledger_state SET value = 1 WHERE name = 'sink_hold'")


def accept(line, exit_code=0, **settings):
    done = line.meterctl("restore", "accept", "--yes", SINK_RECONCILE_RATE_PER_S=1000, **settings)
    assert done.returncode == exit_code, done.stdout + done.stderr
    held = line.value("SELECT value FROM ledger_state WHERE name = 'sink_hold'")
    assert (held == 0) == (exit_code == 0)
    return done.stdout


def add(line, identifier, state="failed", tenant="acme", metric="api_calls", quantity=5, minutes=0, **more):
    """By hand, in the tenant's current period, so many minutes ago."""
    columns = {"identifier": identifier, "state": state, "tenant": tenant, "metric": metric,
               "transport": "meter_events", "stripe_customer_id": f"cus_{tenant}", "event_name": metric,
               "quantity": quantity, "body": f"event_name={metric}", **more}
    claim = line.value("SELECT coalesce(max(claim), 0) + 1 FROM usage_submissions")
    line.sql(f"INSERT INTO usage_submissions ({', '.join(columns)}, claim, period_start, usage_at) "
             f"SELECT {', '.join(['%s'] * len(columns))}, %s, p.period_start, "
             "minute_of(now()) - make_interval(mins => %s) FROM billing_period(%s, now()) p",
             *columns.values(), claim, minutes, tenant)
