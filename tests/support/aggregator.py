"""What tests of the aggregator share: starting it, small catalogs, entries by the thousand, sums that wait."""

import contextlib
import json
import time

from line.line import STREAM
from support.by_hand import commit_earlier
from support.usage_oracle import MINUTE_MS, Oracle, month_of

DAY_MS = 86_400_000
CATALOG = {"plans": [], "metrics": [
    {"metric": "tokens", "name": "Tokens", "unit": "token", "aggregation": "sum",
     "dimensions": ["model", "region"], "transport": "none"},
    {"metric": "large_tokens", "name": "Large", "unit": "token", "aggregation": "sum",
     "from": "tokens", "where": {"model": "large"}, "dimensions": ["region"], "transport": "none"},
    {"metric": "eu_calls", "name": "Calls", "unit": "call", "aggregation": "count",
     "from": "tokens", "where": {"region": "eu"}, "transport": "none"},
    {"metric": "logins", "name": "Logins", "unit": "login", "aggregation": "count",
     "transport": "none"},
    {"metric": "peak", "name": "Peak", "unit": "GB", "aggregation": "max", "transport": "none"},
    {"metric": "seats", "name": "Seats", "unit": "seat", "aggregation": "last", "carry": True,
     "transport": "none"}]}


def now_ms():
    return int(time.time() * 1000)


def apply(line, catalog):
    path = line.folder / "catalog.json"
    path.write_text(json.dumps(catalog), encoding="utf-8")
    line.catalog(path)
    return Oracle(path)


def start(line, **settings):
    return line.start_aggregator(**{"AGGREGATOR_FLUSH_MS": 100, **settings})


# Adds ARGV[2] events with ids from ARGV[1] on.
ADD_MANY = """for n = ARGV[1], ARGV[1] + ARGV[2] - 1 do
    redis.call('XADD', KEYS[1], '*', 'tenant', 't' .. n % 50, 'metric', 'api_calls', 'id', n) end"""


def add_many(line, first, count):
    for at in range(first, first + count, 10_000):
        line.client().eval(ADD_MANY, 1, STREAM, at, min(10_000, first + count - at))


def age(line, hours):
    """Move everything that is counted so many hours into the past."""
    line.sql("UPDATE usage_batches SET entry_first_ms = entry_first_ms - %s, entry_last_ms = entry_last_ms - %s",
             *2 * [hours * 60 * MINUTE_MS])
    commit_earlier(line, f"{hours} h")


SUBSCRIBE = """
    INSERT INTO subscriptions (stripe_subscription_id, tenant, stripe_customer_id, status,
                               current_period_start, current_period_end, billing_cycle_anchor,
                               started_at)
    VALUES ('sub_' || %(tenant)s, %(tenant)s, 'cus_' || %(tenant)s, 'active',
            to_timestamp(%(start)s / 1000.0), to_timestamp(%(start)s / 1000.0) + interval '1 month',
            to_timestamp(%(start)s / 1000.0), to_timestamp(%(start)s / 1000.0))
    ON CONFLICT (stripe_subscription_id) DO UPDATE
       SET current_period_start = excluded.current_period_start,
           current_period_end = excluded.current_period_end,
           billing_cycle_anchor = excluded.billing_cycle_anchor;
    SELECT refresh_billing_periods(%(tenant)s)"""


class Periods:
    """period_of for an oracle: the month until a tenant's first edge, then edge to edge."""

    def __init__(self, line):
        self.line = line
        self.edges = {}

    def subscribe(self, tenant, start_ms):
        """Move the start of the tenant's current period."""
        start_ms = start_ms // MINUTE_MS * MINUTE_MS
        with contextlib.closing(self.line.postgres.connect()) as connection:
            connection.autocommit = False
            connection.cursor().execute(SUBSCRIBE, {"tenant": tenant, "start": start_ms})
            connection.commit()
        self.edges.setdefault(tenant, []).append(start_ms)

    def __call__(self, tenant, minute_ms):
        passed = [edge for edge in self.edges.get(tenant, []) if edge <= minute_ms]
        return max(passed, default=month_of(tenant, minute_ms))


def fill(line, tenants, events):
    """Events of that many tenants in turn, 1 unit each, written in one pipeline."""
    with line.redis.client() as client:
        pipe = client.pipeline(transaction=False)
        for n in range(events):
            pipe.xadd(STREAM, {"tenant": f"t{n % tenants}", "metric": "api_calls", "id": str(n),
                               "quantity": "1.5"})
        pipe.execute()


def prove_folded(line, tenants, events):
    assert line.value("SELECT count(*) FROM usage_pending") == 0
    rows = line.sql("SELECT count(*) AS tenants, sum(quantity) AS quantity, min(quantity) AS least, "
                    "max(quantity) AS greatest FROM usage_totals")[0]
    each = events // tenants
    assert rows.tenants == tenants and rows.quantity == events * 3 / 2
    assert rows.least == rows.greatest == each * 3 / 2
    assert line.value("SELECT sum(events) FROM usage_aggregates") == events
    assert line.run("meterctl", "rebuild", "--check").returncode == 0
    assert line.audit().ok


def add_of_every_kind(emitter, events=20_000, tenants=2500):
    """Of every aggregation, with dimensions and derived metrics, and some of it taken back."""
    metrics = [name for name, metric in emitter.oracle.metrics.items() if "from" not in metric]
    base = now_ms()
    emitter.add_all([
        {"tenant": f"t{n % tenants}", "metric": metrics[n % len(metrics)], "id": f"e{n}",
         "quantity": f"{n * 37 % 50 - 20}.5", "ts": base - n * 7919 % 90_000,
         "model": ["large", "small"][n % 3 == 0], "region": ["eu", "us"][n % 7 % 2], "user": f"u{n % 3}"}
        if n % 9 else {"tenant": f"t{n // 2 % tenants}", "op": "retract", "id": f"e{n // 2}"}
        for n in range(events)])
