"""Stripe's books beside ours, to the unit."""

import collections

from support.ledger_proof import assert_balanced, assert_same

from .catalog import LAST

SUBMISSIONS = """
    SELECT identifier, tenant, metric, state, quantity::bigint AS quantity, last_error
      FROM usage_submissions ORDER BY usage_at"""
UNBILLED = "SELECT tenant, metric, reason, sum(quantity) FROM usage_unbilled GROUP BY 1, 2, 3"


class Proof:
    def __init__(self, line, transport, usage):
        self.line, self.transport, self.usage = line, transport, usage

    def prove(self, tell):
        self.line.wait_for(self.is_told, 20, "what Stripe refused later is failed")
        rows = self.line.sql(SUBMISSIONS)
        tell(f"submissions: {dict(collections.Counter(row.state for row in rows))}")
        assert len(rows) >= self.usage.lanes * self.usage.steps
        self.submissions = [row for row in rows if row.state != "void"]
        self.assert_bodies(tell)
        self.assert_settled(tell)
        self.assert_units(tell)
        for stream in assert_balanced(self.line, ("failed", "late", "in_doubt", "drift")).streams:
            tell(f"audit {stream}")

    def is_told(self):
        return self.line.value("SELECT count(*) FROM usage_submissions WHERE state = 'failed'") \
            == len(self.transport.rejected(self.line.sandbox))

    def assert_bodies(self, tell):
        seen = self.line.sandbox.all_identifiers()
        assert not seen["differing"], list(seen["differing"].items())[:3]
        assert self.line.sandbox.violations() == 0
        tell(f"{seen['identifiers']} identifiers, one body each, in {seen['requests']} tries")

    def assert_settled(self, tell):
        """All are sent, but what Stripe refused after its 2xx: that is failed, for a reason."""
        rejected = self.transport.rejected(self.line.sandbox)
        failed = {row.identifier: row for row in self.submissions if row.state == "failed"}
        assert failed.keys() == rejected, (len(failed), len(rejected), failed.keys() ^ rejected)
        assert all(row.last_error for row in failed.values())
        open_ones = [row for row in self.submissions if row.state not in ("sent", "failed")
                     and not self.is_too_late(row)]
        assert not open_ones, open_ones[:5]
        tell(f"{len(rejected)} were accepted and refused later, and are failed")

    def is_too_late(self, row):
        """What is billed to an item of a subscription is refused once that was canceled; and is in doubt if
        it was tried before without an answer. So is what was taken back while less was there to subtract it
        from, since nothing comes any more to make up for it: held first, and late once its period is over.
        Stripe holds none of it: assert_units tells."""
        if row.tenant not in self.usage.leaving:
            return False
        return row.state == "late" and row.quantity < 0 \
            or row.state == "held" and row.quantity < 0 and (
                self.transport.ends_with_period or self.sent(row) < -row.quantity) \
            or row.state in ("late", "in_doubt") and self.transport.ends_with_period

    def sent(self, row):
        """What Stripe took of its tenant and metric."""
        return sum(other.quantity for other in self.submissions if other.state == "sent"
                   and (other.tenant, other.metric) == (row.tenant, row.metric))

    def assert_units(self, tell):
        """Stripe holds what was sent, and that is what was used, but for what waits for a person."""
        tenants = dict(self.line.sql("SELECT stripe_customer_id, tenant FROM billing_customers"))
        held = self.transport.held(self.line.sandbox, tenants)
        sent, waiting = {}, collections.Counter()
        for row in self.submissions:
            key = row.tenant, row.metric
            if row.state != "sent":
                waiting[key] += row.quantity
            else:
                sent[key] = row.quantity + (sent.get(key, 0) if row.metric != LAST else 0)
        assert_same(held, sent)
        assert_same(held, self.expected(sent, waiting))
        tell(f"{sum(held.values())} units of {len(held)} lanes are the same on both sides")

    def expected(self, sent, waiting):
        unmapped = self.unmapped()
        expected = {}
        for key, total in self.usage.totals.items():
            if key[1] == LAST and waiting[key]:
                expected[key] = sent[key]   # The newest value that Stripe took.
            else:
                expected[key] = (total - unmapped.get(key, 0)) // 1 - waiting[key]
        return {key: units for key, units in expected.items() if units or key in sent}

    def unmapped(self):
        """What waits since its customer is gone; else nothing waits but parts below one."""
        unmapped = {}
        for tenant, metric, reason, quantity in self.line.sql(UNBILLED):
            if tenant in self.usage.leaving:
                assert reason == "unmapped", (tenant, reason)
                unmapped[tenant, metric] = quantity
            else:
                assert reason == "carried" and quantity < 1, (tenant, metric, reason, quantity)
        return unmapped
