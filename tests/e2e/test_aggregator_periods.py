"""Billing periods that come and move in mid-stream move the totals with them, exactly."""

import contextlib

from ledger_proof import Emitter, Flow, prove, settle, stored_totals
from test_aggregator import CATALOG, DAY_MS, apply, now_ms, start
from usage_oracle import MINUTE_MS, month_of

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
        """The tenant's current period starts there from now on."""
        start_ms = start_ms // MINUTE_MS * MINUTE_MS
        with contextlib.closing(self.line.postgres.connect()) as connection:
            connection.autocommit = False
            connection.cursor().execute(SUBSCRIBE, {"tenant": tenant, "start": start_ms})
            connection.commit()
        self.edges.setdefault(tenant, []).append(start_ms)

    def __call__(self, tenant, minute_ms):
        passed = [edge for edge in self.edges.get(tenant, []) if edge <= minute_ms]
        return max(passed, default=month_of(tenant, minute_ms))


def test_a_subscription_in_mid_stream_moves_totals_exactly(line):
    periods = Periods(line)
    emitter = Emitter(line, apply(line, CATALOG))
    emitter.oracle.period_of = periods
    start(line, AGGREGATOR_BATCH_MAX=16)
    now = now_ms()

    def emit(count):
        emitter.add_all({"tenant": f"t{n % 3}", "metric": ["tokens", "peak", "seats"][n % 5 % 3],
                         "quantity": f"{(n * 7) % 11}.25", "model": ["large", "small"][n % 2],
                         "ts": now - (n * 13 * 3_600_000) % (20 * DAY_MS)} for n in range(count))

    emit(60)
    settle(line)
    periods.subscribe("t1", now - 5 * DAY_MS)
    emit(60)
    settle(line)
    prove(line, emitter.oracle)
    emit(60)  # While these are counted, edges move.
    periods.subscribe("t1", now - 3 * DAY_MS)
    periods.subscribe("t2", now - 10 * DAY_MS)
    emit(60)
    settle(line)
    prove(line, emitter.oracle)


def test_edges_that_move_under_load_are_never_missed(line):
    periods = Periods(line)
    aggregator = start(line, AGGREGATOR_FLUSH_MS=2)
    with Flow(line, rest_s=0.001) as flow:
        flow.oracle.period_of = periods
        for round_number in range(12):
            aggregator.wait_log("batch_committed", since=aggregator.mark())
            for tenant in ("t0", "t1"):
                edge = now_ms() - (20 - round_number) * DAY_MS
                periods.subscribe(tenant, edge)
            flow.wait_added(20)
    settle(line)
    prove(line, flow.oracle, entries=False)


def test_seats_open_a_period_with_their_last_value(line):
    emitter = Emitter(line)
    then = now_ms() - 34 * DAY_MS
    for tenant, quantity in (("kept", 3), ("kept", 5), ("zero", 0), ("used", 8)):
        emitter.add(tenant=tenant, metric="user_seats", quantity=quantity, ts=then)
        emitter.add(tenant=tenant, metric="api_calls", quantity=quantity, ts=then)
    emitter.add(tenant="used", metric="user_seats", quantity=9)
    line.must("aggregator", "--once")
    prove(line, emitter.oracle)
    month = month_of("", now_ms())
    assert stored_totals(line)["kept", "user_seats", month] == 5
    start(line)
    line.wait_for(lambda: line.client().hget("quota:{kept}", "user_seats.used") == "5", 5,
                  "seats are in the cache")
    assert line.client().hget("quota:{kept}", "api_calls.used") in (None, "0")
    emitter.add(tenant="kept", metric="user_seats", quantity=7, ts=then + 1)  # Late.
    settle(line)
    prove(line, emitter.oracle)
    assert stored_totals(line)["kept", "user_seats", month] == 7
    line.wait_for(lambda: line.client().hget("quota:{kept}", "user_seats.used") == "7", 5,
                  "what follows is in the cache at once")
    emitter.add(tenant="kept", metric="user_seats", quantity=4)
    emitter.add(tenant="kept", metric="user_seats", quantity=11, ts=then + 2)
    settle(line)
    prove(line, emitter.oracle)
