"""Billing periods that come and move in mid-stream move the totals with them, exactly."""

from support.aggregator import CATALOG, DAY_MS, Periods, apply, now_ms, start
from support.ledger_proof import Emitter, Flow, prove, settle, stored_totals
from support.usage_oracle import month_of


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
