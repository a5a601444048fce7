"""Customers and totals as they stand in PostgreSQL before a claim: written by SQL, since the
aggregator is not what is measured here."""

import json

from . import settings
from .ground import CATALOG

# In no order of their key, as usage comes in; each subscription's period began within four weeks.
TENANTS = """
    CREATE TEMPORARY TABLE shop AS
    SELECT 'tenant-' || lpad(n::text, 7, '0') AS tenant, 'cus_' || substr(md5(n::text), 1, 14) AS customer,
           'sub_' || substr(md5(n::text), 1, 14) AS subscription, low, low + interval '1 month' AS high
      FROM generate_series(1, %s) n,
           LATERAL (SELECT minute_of(now()) - mod(n * 37, 28 * 1440) * interval '1 minute' AS low) p
     ORDER BY md5(n::text)"""
FILLED = """
    INSERT INTO billing_customers (tenant, stripe_customer_id) SELECT tenant, customer FROM shop;
    INSERT INTO subscriptions (stripe_subscription_id, tenant, stripe_customer_id, status, current_period_start,
                               current_period_end, billing_cycle_anchor, started_at)
    SELECT subscription, tenant, customer, 'active', low, high, low, low FROM shop;
    INSERT INTO billing_periods (tenant, period_start, period_end, stripe_subscription_id)
    SELECT tenant, low, high, subscription FROM shop;
    INSERT INTO billing_period_changes (tenant, version) SELECT tenant, 1 FROM shop"""
TOTALS = """
    INSERT INTO usage_totals (tenant, metric, period_start, period_end, quantity, version, last_ms, last_entry)
    SELECT s.tenant, m, s.low, s.high, 1 + (hashtext(s.tenant || m) & 1048575) + 0.625, nextval('usage_version'),
           0, ''
      FROM shop s, unnest(%s::text[]) m"""


def fill(line, totals, metrics, transport):
    """So many totals, evenly over the first metrics of the catalog, all dirty."""
    names = use_transport(line, transport)[:metrics]
    line.sql(TENANTS, -(-totals // metrics))
    line.sql(FILLED)
    line.sql(TOTALS, names)
    line.sql("DROP TABLE shop")
    line.sql("VACUUM ANALYZE")
    line.sql("CHECKPOINT")
    return line.value("SELECT count(*) FROM usage_totals")


def use_transport(line, transport):
    """The bench's catalog, with all of its metrics by that transport: their names."""
    catalog = json.loads(CATALOG.read_text(encoding="utf-8"))
    for metric in catalog["metrics"]:
        metric.update(transport=transport, stripe_event_name=metric["metric"])
    path = line.folder / "catalog.json"
    path.write_text(json.dumps(catalog), encoding="utf-8")
    line.catalog(path)
    return [metric["metric"] for metric in catalog["metrics"]]


def find_wrong_claims(line):
    """Totals that their submissions do not hold to the unit."""
    wrong = line.value("""
        SELECT count(*)
          FROM usage_totals t
          LEFT JOIN usage_claims c USING (tenant, metric, period_start)
          LEFT JOIN (SELECT tenant, metric, period_start, sum(quantity) AS quantity, count(*) AS n
                       FROM usage_submissions GROUP BY 1, 2, 3) s USING (tenant, metric, period_start)
         WHERE (floor(t.quantity), floor(t.quantity), 1) IS DISTINCT FROM (s.quantity, c.claimed, s.n)""")
    return [f"{wrong:,} totals are not claimed to the unit"] if wrong else []


def find_wrong_receipts(line, received):
    """What the stand-in was told differs from what was claimed, or not all of it is settled."""
    [claimed] = line.sql("""SELECT count(*) AS n, count(*) FILTER (WHERE state = 'sent') AS sent,
                                   coalesce(sum(quantity), 0) AS total FROM usage_submissions""")
    wanted = {"events": claimed.n, "distinct": claimed.n, "total": claimed.total, "refused": 0}
    faults = [f"the stand-in's {key} are {received[key]:,}, not {number:,}"
              for key, number in wanted.items() if received[key] != number]
    if claimed.sent != claimed.n:
        faults.append(f"{claimed.n - claimed.sent:,} submissions are not sent")
    return faults
