"""What tests of the sink share: a line with the sandbox, customers in both, and usage to be sent."""

import json

from line.paths import CATALOG

LEGACY = "2024-06-20"
DAY_S = 86400
METERS = [("llm_tokens", "sum"), ("api_calls", "sum"), ("storage_gb", "last")]


def open_shop(line):
    """The line with a sandbox, and line.tenants: Stripe's customer by tenant."""
    line.settings["SINK_RATE_PER_S"] = "1000"
    line.start_sandbox(rate_per_s=0)
    line.tenants = {}
    return line


def use_transport(line, transport, *metrics):
    """The catalog with these metrics by that transport, applied as an operator would."""
    catalog = json.loads(CATALOG.read_text(encoding="utf-8"))
    for metric in catalog["metrics"]:
        if metric["metric"] in metrics:
            metric["transport"] = transport
    path = line.folder / "catalog.json"
    path.write_text(json.dumps(catalog), encoding="utf-8")
    line.catalog(path)


def add_tenants(line, *tenants):
    made = line.sandbox.bootstrap(
        meters=[{"event_name": name, "formula": formula} for name, formula in METERS],
        tenants=list(tenants))
    for tenant in tenants:
        line.tenants[tenant] = made["tenants"][tenant]["customer"]
        line.sql("INSERT INTO billing_customers (tenant, stripe_customer_id) VALUES (%s, %s)",
                 tenant, line.tenants[tenant])


def count(line, metric, quantity, *tenants):
    """The tenants' totals, as the aggregator would write them after more usage."""
    line.sql("""
        INSERT INTO usage_totals AS t (tenant, metric, period_start, period_end, quantity, version,
                                       last_ms, last_entry)
        SELECT x, %s, p.period_start, p.period_end, %s, nextval('usage_version'), 0, ''
          FROM unnest(%s) x, billing_period(x, now()) p
        ON CONFLICT (tenant, metric, period_start) DO UPDATE
           SET quantity = excluded.quantity, version = excluded.version""",
             metric, quantity, list(tenants))


def once(line, **settings):
    return line.must("meterline-sink", "--once", **settings)


def total(line, tenant, metric):
    return line.sandbox.total(line.tenants[tenant], metric)


def states(line):
    return {row.state: row.n for row in line.sql(
        "SELECT state, count(*) AS n FROM usage_submissions GROUP BY state")}


def is_sent(line, n):
    return lambda: states(line) == {"sent": n}


def forget_leases(line):
    line.sql("UPDATE usage_submissions SET lease_until = now() WHERE state = 'sending'")


def subscribe(line, tenant, started):
    """As webhookd would write it; started: SQL. Its first period is a month."""
    line.sql(f"""
        INSERT INTO subscriptions (stripe_subscription_id, tenant, stripe_customer_id, status,
            current_period_start, current_period_end, billing_cycle_anchor, started_at)
        SELECT 'sub_' || %s, %s, %s, 'active', s, s + interval '1 month', s, s
          FROM (SELECT {started} AS s) x""", tenant, tenant, line.tenants[tenant])
    line.sql("SELECT refresh_billing_periods(%s)", tenant)


def subscribe_legacy(line, *tenants, days=20, known=True):
    """Customers with a metered price without a meter, for api_calls: tenant -> (subscription, item).
    known: to our tables too."""
    api = line.sandbox.api
    now = int(line.value("SELECT floor(extract(epoch FROM now()))::bigint"))
    api("POST", "/v1/products", {"id": "prod_old", "name": "Old"})
    price = api("POST", "/v1/prices", {
        "currency": "usd", "unit_amount": 1, "product": "prod_old",
        "recurring": {"interval": "month", "usage_type": "metered"}}, version=LEGACY).json
    found = {}
    for tenant in tenants:
        customer = api("POST", "/v1/customers", {"metadata": {"tenant": tenant}}).json["id"]
        sub = api("POST", "/v1/subscriptions", {
            "customer": customer, "items": [{"price": price["id"]}],
            "backdate_start_date": now - days * DAY_S}, version=LEGACY).json
        line.tenants[tenant] = customer
        found[tenant] = sub["id"], sub["items"]["data"][0]["id"]
        if known:
            line.sql("INSERT INTO billing_customers (tenant, stripe_customer_id) VALUES (%s, %s)",
                     tenant, customer)
            subscribe(line, tenant, f"to_timestamp({sub['start_date']})")
            line.sql("""INSERT INTO subscription_items (stripe_subscription_item_id,
                            stripe_subscription_id, tenant, metric, stripe_price_id)
                        VALUES (%s, 'sub_' || %s, %s, 'api_calls', %s)""",
                     found[tenant][1], tenant, tenant, price["id"])
    return found


def submit(line, tenant, item, quantity, claim=1, minutes=1):
    """A claimed usage record, used so many minutes ago."""
    line.sql("""
        WITH x AS (SELECT %s::text AS tenant, %s::text AS customer, %s::text AS item,
                          %s::bigint AS quantity, %s::integer AS claim,
                          minute_of(now() - %s * interval '1 minute') AS at)
        INSERT INTO usage_submissions (identifier, tenant, metric, transport, stripe_customer_id,
            event_name, period_start, claim, usage_at, quantity, stripe_subscription_item_id, body)
        SELECT concat('ml-', tenant, '-', claim), tenant, 'api_calls', 'usage_records', customer,
               'api_calls', p.period_start, claim, at, quantity, item,
               concat('quantity=', quantity, '&timestamp=', extract(epoch FROM at)::bigint,
                      '&action=increment')
          FROM x, billing_period(tenant, at) p""",
             tenant, line.tenants[tenant], item, quantity, claim, minutes)


def finalize(line, tenant):
    line.sql("""
        INSERT INTO invoices (stripe_invoice_id, tenant, stripe_customer_id, stripe_subscription_id,
            status, currency, amount_due_minor, amount_paid_minor, period_start, period_end,
            finalized_at)
        SELECT 'in_' || %s, tenant, stripe_customer_id, stripe_subscription_id, 'paid', 'usd', 0, 0,
               current_period_start, current_period_end, now()
          FROM subscriptions WHERE tenant = %s""", tenant, tenant)


def keys_of(line, path):
    """The Idempotency-Keys of the tries, each once, in the order of their first."""
    return list(dict.fromkeys(request["headers"]["idempotency-key"]
                              for request in line.sandbox.requests(path=path)))


def keys_made_of(identifier, n):
    """The keys that follow one another where Stripe keeps a refusal that may pass for each."""
    return [identifier] + [f"{identifier}.{number}" for number in range(1, n)]
