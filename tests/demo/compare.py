"""Sets side by side what was sent, what we counted and what Stripe holds, tenant by tenant."""

import collections
import dataclasses
import decimal

ZERO = decimal.Decimal(0)


@dataclasses.dataclass
class Row:
    """One metric. Sums over tenants are for the eye; equal and pairs are exact, by tenant."""

    metric: str
    aggregation: str
    expected: decimal.Decimal = ZERO
    ours: decimal.Decimal = ZERO
    stripe: int = 0
    pairs: int = 0
    equal: int = 0


@dataclasses.dataclass
class Comparison:
    rows: list
    differences: list   # (tenant, metric, expected, ours, stripe)

    @property
    def ok(self):
        return bool(self.rows) and not self.differences

    @property
    def pairs(self):
        return sum(row.pairs for row in self.rows)


def compare(line, tenants, expected):
    """expected: {(tenant, metric): quantity}. Stripe takes whole units, so it must hold ours
    rounded down; what is left waits with us for the end of the period."""
    metrics = line.sql("SELECT metric, aggregation, stripe_event_name FROM metrics "
                       "WHERE stripe_event_name IS NOT NULL AND retired_at IS NULL ORDER BY metric")
    ours, stripe = read_ours(line, tenants), read_stripe(line)
    rows, differences = [], []
    for metric in metrics:
        row = Row(metric.metric, metric.aggregation)
        rows.append(row)
        for tenant in tenants:
            key = (tenant, metric.metric)
            sent, counted = expected.get(key, ZERO), ours[key]
            held = stripe[tenant, metric.stripe_event_name]
            if not (sent or counted or held):
                continue
            row.pairs += 1
            row.expected, row.ours, row.stripe = (row.expected + sent, row.ours + counted,
                                                  row.stripe + held)
            if sent == counted and counted // 1 == held:
                row.equal += 1
            else:
                differences.append((*key, sent, counted, held))
    return Comparison([row for row in rows if row.pairs], differences)


def read_ours(line, tenants):
    """Sums of all periods; of a level the last period's value."""
    ours = collections.defaultdict(decimal.Decimal)
    rows = line.sql("SELECT t.tenant, t.metric, t.quantity, m.aggregation FROM usage_totals t "
                    "JOIN metrics m USING (metric) WHERE t.tenant = ANY(%s) "
                    "ORDER BY t.period_start", tenants)
    for row in rows:
        key = row.tenant, row.metric
        ours[key] = (ours[key] if row.aggregation in ("sum", "count") else ZERO) + row.quantity
    return ours


def read_stripe(line):
    held = collections.defaultdict(int)
    for row in line.sandbox.totals():
        held[row["tenant"], row["event_name"]] += int(row["value"])
    return held
