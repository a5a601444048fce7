"""Tenants billed by the day, so that a chain of periods is short: what their totals must be, by an
oracle that knows nothing of how they are kept."""

import bisect

from line.paths import CATALOG
from support.ledger_proof import Emitter, assert_balanced, assert_totals
from support.usage_oracle import DAY_MS, Oracle

BACK_DAYS = 60
EDGES = """
    WITH RECURSIVE periods AS (
        SELECT b.period_start, b.period_end
          FROM billing_period(%s, now() - %s * interval '1 day') b
         UNION ALL
        SELECT b.period_start, b.period_end
          FROM periods p CROSS JOIN LATERAL billing_period(%s, p.period_end) b
         WHERE p.period_end < now() + interval '3 days')
    SELECT (extract(epoch FROM period_start) * 1000)::bigint FROM periods ORDER BY 1"""
SUBSCRIBE = """
    INSERT INTO subscriptions (stripe_subscription_id, tenant, stripe_customer_id, status, current_period_start,
                               current_period_end, billing_cycle_anchor, billing_interval, started_at)
    SELECT 'sub_' || x.tenant, x.tenant, 'cus_' || x.tenant, 'active', p.period_start, p.period_end, x.at, 'day', x.at
      FROM (SELECT %s AS tenant, to_timestamp(%s / 1000.0) AS at) x, project_period(x.at, 'day', 1, now()) p
    ON CONFLICT (stripe_subscription_id) DO UPDATE
       SET current_period_start = excluded.current_period_start, current_period_end = excluded.current_period_end,
           billing_cycle_anchor = excluded.billing_cycle_anchor, status = 'active', ended_at = NULL"""


class Days:
    """Emits and knows; period_of for its oracle: the edges that the database has at the time of
    refresh(), since what periods are is not in question here."""

    def __init__(self, line, catalog=CATALOG):
        self.line, self.edges = line, {}
        self.emitter = Emitter(line, Oracle(catalog, period_of=self.period_of))
        self.oracle = self.emitter.oracle
        self.add = self.emitter.add

    def now_ms(self):
        return int(self.line.value("SELECT extract(epoch FROM now()) * 1000"))

    def midnight(self, days_ago):
        return (self.now_ms() // DAY_MS - days_ago) * DAY_MS

    def subscribe(self, tenant, since_ms):
        """By the day from then on, or moved to that time of the day."""
        self.line.sql(SUBSCRIBE, tenant, since_ms)
        self.line.sql("SELECT refresh_billing_periods(%s)", tenant)

    def cancel(self, tenant, at_ms):
        self.line.sql("UPDATE subscriptions SET status = 'canceled', ended_at = to_timestamp(%s / 1000.0)"
                      " WHERE tenant = %s", at_ms, tenant)
        self.line.sql("SELECT refresh_billing_periods(%s)", tenant)

    def period_of(self, tenant, minute_ms):
        edges = self.edges[tenant]
        return edges[bisect.bisect_right(edges, minute_ms) - 1]

    def refresh(self):
        for tenant in {event["tenant"] for _, event in self.oracle.events}:
            self.edges[tenant] = [row[0] for row in self.line.sql(EDGES, tenant, BACK_DAYS, tenant)]

    def prove(self):
        self.refresh()
        assert_totals(self.line, self.oracle)

    def is_proved(self):
        try:
            self.prove()
        except AssertionError as wrong:
            self.wrong = str(wrong)
            return False
        return True

    def count(self):
        """All that was added, by an aggregator that then ends; the ledger is as it must be."""
        self.line.must("aggregator", "--once")
        self.prove()
        self.prove_by_tools()

    def prove_by_tools(self):
        assert_balanced(self.line, ("unmapped",))
        done = self.line.meterctl("rebuild", "--check")
        assert done.returncode == 0, done.stdout + done.stderr

    def totals(self, tenant="acme", metric="user_seats"):
        """In the order of their periods."""
        return [int(row.quantity) for row in self.line.sql(
            "SELECT quantity FROM usage_totals WHERE tenant = %s AND metric = %s ORDER BY period_start",
            tenant, metric)]
