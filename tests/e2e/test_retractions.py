"""An event that is taken back is as if it had never counted, whatever its metric, once and for all."""

import pytest

from line.line import STREAM
from support.aggregator import CATALOG, DAY_MS, Periods, age, apply, now_ms, start
from support.ledger_proof import (
    Emitter, assert_balanced, position, prove, reasons, settle, stored_minutes, stored_totals)
from support.sink import add_tenants, once, total
from support.usage_oracle import MINUTE_MS, month_of


def retract(emitter, id, tenant="a", **more):
    return emitter.add(tenant=tenant, id=id, op="retract", **more).kind


def add_usage(emitter, count, base):
    """Of every aggregation, five events to each minute of each tenant."""
    metrics = ["tokens", "peak", "seats", "logins", "users"]
    known = [name for name in metrics if name in emitter.oracle.metrics]
    for n in range(count):
        emitter.add(tenant=f"t{n % 2}", metric=known[n % len(known)], id=f"e{n}",
                    quantity=f"{(n * 37) % 50 - 20}.5", ts=base - (n * 7919) % (3 * MINUTE_MS),
                    model=["large", "small"][n % 3 == 0], region=["eu", "us"][n % 7 % 2],
                    user=f"u{n % 3}")


@pytest.mark.parametrize("batch_max", [1, 7, 50_000])
def test_each_aggregation_falls_back_to_what_is_left(line, batch_max):
    emitter = Emitter(line, apply(line, CATALOG))
    base = now_ms() // MINUTE_MS * MINUTE_MS
    assert retract(emitter, "e0", "t0") == "rejected"  # Too early: nothing of it is known.
    add_usage(emitter, 120, base)
    for n in range(0, 120, 3):
        assert retract(emitter, f"e{n}", f"t{n % 2}") == "counted"
        assert retract(emitter, f"e{n}", f"t{n % 2}", quantity=5, note="again") == "duplicates"
        assert retract(emitter, f"e{n}", f"t{(n + 1) % 2}") == "rejected"
    add_usage(emitter, 120, base)  # Every event again, those that were taken back too.
    assert emitter.oracle.outcomes() == {"counted": 160, "duplicates": 160, "rejected": 41,
                                         "conflicts": 0}
    start(line, AGGREGATOR_BATCH_MAX=batch_max)
    settle(line)
    prove(line, emitter.oracle)
    for n in range(1, 120):
        retract(emitter, f"e{n}", f"t{n % 2}")
    settle(line)
    prove(line, emitter.oracle)
    assert retract(emitter, "e0", "t0") == "duplicates"
    settle(line)
    assert stored_minutes(line) == {} == stored_totals(line)
    assert reasons(line) == {"unknown_retraction": 41}
    assert line.value("SELECT sum(quantity) FROM usage_events") == 0
    add_usage(emitter, 120, base)
    emitter.add(tenant="t0", metric="peak", quantity=-7, id="low")  # Below the 0 of nothing.
    emitter.add(tenant="t0", metric="seats", quantity=3, id="late", ts=base - DAY_MS)
    settle(line)
    prove(line, emitter.oracle)


def test_what_was_looked_for_is_told_and_a_replay_takes_back_once(line):
    emitter = Emitter(line)
    old = now_ms() - 3 * DAY_MS
    assert retract(emitter, "x", note="kept") == "rejected"
    assert retract(emitter, "x", ts=old) == "rejected"
    line.must("aggregator", "--once")
    first, second = line.sql("SELECT * FROM rejected_events ORDER BY stream_id")
    assert "86400 s" in first.detail and f"ts {old}" in second.detail
    emitter.add(tenant="a", metric="api_calls", quantity=4, id="x")
    for expected in ("counted", "duplicates"):
        assert emitter.add([tuple(pair) for pair in first.fields]).kind == expected
    line.must("aggregator", "--once")
    prove(line, emitter.oracle)


def test_ids_by_default_are_taken_back_by_their_entry(line):
    emitter = Emitter(line)
    emitter.add_all([{"tenant": "a", "metric": "api_calls", "quantity": n} for n in (3, 5, 7)])
    ids = [f"{STREAM}/{entry_id}" for entry_id, _, _ in emitter.oracle.entries]
    assert retract(emitter, ids[0]) == "counted"
    line.must("aggregator", "--once")
    assert [retract(emitter, ids[n], t) for n, t in ((0, "a"), (1, "b"), (1, "a"))] == [
        "duplicates", "rejected", "counted"]
    # Who gives an entry's id says that it is that entry.
    assert emitter.add(tenant="a", metric="api_calls", quantity=7, id=ids[2]).kind == "duplicates"
    assert emitter.add(tenant="a", metric="api_calls", quantity=100, id=ids[2]).kind == "conflicts"
    assert retract(emitter, ids[2]) == "counted"
    for text in (ids[2].replace("/", "/0"), f"{ids[2]}0", ids[2].replace("-", "-0"), STREAM + "/"):
        assert retract(emitter, text) == "rejected"
    line.must("aggregator", "--once")
    prove(line, emitter.oracle)
    assert emitter.oracle.total("a", "api_calls") == 0
    assert [retract(emitter, id) for id in ids] == ["duplicates"] * 3
    done = line.must("aggregator", "--once")  # A table that was read back knows them too.
    assert "keys=6" in done.stderr
    prove(line, emitter.oracle)


@pytest.mark.parametrize("batch_max", [1, 50_000])
def test_an_event_older_than_the_window_is_found_by_its_ts(line, batch_max):
    line.settings["AGGREGATOR_BATCH_MAX"] = batch_max
    emitter = Emitter(line, apply(line, CATALOG))
    ts = now_ms() - 2 * DAY_MS
    uuid = "6f9619ff-8b86-d011-b42d-00c04fc964ff"
    for n, id in enumerate(("x", uuid, "y")):
        emitter.add(tenant="a", metric="peak", quantity=n + 1, id=id, ts=ts)
    line.must("aggregator", "--once")
    age(line, hours=30)
    assert retract(emitter, "x", ts=ts + 1) == "rejected"
    assert [retract(emitter, uuid, ts=ts) for _ in range(2)] == ["counted", "duplicates"]
    # The same id counted anew, with another time: each is taken back by itself.
    emitter.oracle.first.clear()
    later = dict(emitter.oracle.by_id)
    assert emitter.add(tenant="a", metric="peak", quantity=9, id="y", ts=ts + 5).kind == "counted"
    emitter.oracle.by_id.update(later)
    assert retract(emitter, "y", ts=ts) == "counted"
    line.must("aggregator", "--once")
    prove(line, emitter.oracle)
    age(line, hours=30)
    emitter.oracle.by_id["a", "x", True] = None
    assert retract(emitter, "x") == "rejected"  # Without its ts it is not found any more, …
    assert retract(emitter, uuid, ts=ts) == "duplicates"  # … and a repeat only by it.
    assert emitter.add(tenant="a", metric="peak", quantity=2, id=uuid, ts=ts).kind == "counted"
    line.must("aggregator", "--once")
    at = position(line)
    assert (at.duplicates, at.rejected) == (3, 2)  # The event, too, stays known by its time.
    assert line.value("SELECT quantity FROM usage_totals") == 9
    assert_balanced(line)


def test_what_the_catalog_has_become_since_does_not_matter(line):
    emitter = Emitter(line, apply(line, CATALOG))
    base = now_ms() // MINUTE_MS * MINUTE_MS
    for n in range(4):
        emitter.add(tenant="a", metric="tokens", quantity=n + 1, id=f"e{n}", ts=base,
                    model="large", region="eu")
        emitter.add(tenant="a", metric="logins", id=f"l{n}", ts=base)
    line.must("aggregator", "--once")
    metrics = [dict(metric) for metric in CATALOG["metrics"] if metric["metric"] != "logins"]
    metrics[0]["dimensions"] = ["region"]
    metrics[1]["where"] = {"model": "small"}
    apply(line, {"plans": [], "metrics": metrics})
    emitter.add(tenant="a", metric="tokens", quantity=10, id="new", ts=base, model="small",
                region="eu")
    retract(emitter, "e1", metric="tokens")
    retract(emitter, "l2", metric="logins")
    line.must("aggregator", "--once")
    minute = base
    both = '{"model": "large", "region": "eu"}'
    region = '{"region": "eu"}'
    stored = {key[1:3]: value[:2] for key, value in stored_minutes(line).items()}
    assert all(key[3] == minute for key in stored_minutes(line))
    assert stored == {("tokens", both): (3, 8), ("tokens", region): (1, 10),
                      ("large_tokens", region): (4, 18), ("eu_calls", "{}"): (4, 18),
                      ("logins", "{}"): (3, 3)}
    totals = {key[1]: value for key, value in stored_totals(line).items()}
    assert totals == {"tokens": 18, "large_tokens": 18, "eu_calls": 4, "logins": 3}
    assert_balanced(line)


def test_totals_of_moved_and_of_late_periods_are_set_right(line):
    periods = Periods(line)
    emitter = Emitter(line, apply(line, CATALOG))
    emitter.oracle.period_of = periods
    now = now_ms()
    for n in range(60):
        emitter.add(tenant=f"t{n % 2}", metric=["tokens", "peak", "logins"][n % 3], id=f"e{n}",
                    quantity=n, ts=now - n * DAY_MS // 2)
    start(line, AGGREGATOR_BATCH_MAX=16)
    settle(line)
    for n in range(0, 30, 4):
        retract(emitter, f"e{n}", f"t{n % 2}")
    periods.subscribe("t0", now - 5 * DAY_MS)
    for n in range(1, 60, 4):
        retract(emitter, f"e{n}", f"t{n % 2}")
    settle(line)
    periods.subscribe("t1", now - 3 * DAY_MS)
    for n in range(2, 60, 4):
        retract(emitter, f"e{n}", f"t{n % 2}")
    settle(line)
    prove(line, emitter.oracle)
    for n in range(60):
        retract(emitter, f"e{n}", f"t{n % 2}")
    settle(line)
    assert stored_totals(line) == {}
    periods.subscribe("t1", now - 4 * DAY_MS)
    prove(line, emitter.oracle)


def test_a_carried_period_falls_back_to_what_was_carried(line):
    emitter = Emitter(line)
    then = now_ms() - 34 * DAY_MS
    for id, quantity, ts in (("p1", 3, then), ("p2", 5, then + 1), ("c1", 9, now_ms())):
        emitter.add(tenant="a", metric="user_seats", quantity=quantity, ts=ts, id=id)
    line.must("aggregator", "--once")
    month = "a", "user_seats", month_of("", now_ms())
    before = "a", "user_seats", month_of("", then)
    steps = (("c1", 5, 5), ("p2", 3, 3), ("p1", 0, 0))
    version = 0
    for id, carried, own in steps:
        retract(emitter, id)
        line.must("aggregator", "--once")
        rows = line.sql("SELECT (extract(epoch FROM period_start) * 1000)::bigint AS start, quantity, "
                        "version FROM usage_totals ORDER BY period_start")
        assert [(row.start, row.quantity) for row in rows] == [(before[2], own), (month[2], carried)]
        assert rows[1].version > version
        version = rows[1].version
    assert stored_minutes(line) == {}
    emitter.add(tenant="a", metric="user_seats", quantity=4, ts=then + 2)  # Earlier than some were.
    line.must("aggregator", "--once")
    assert line.value("SELECT quantity FROM usage_totals ORDER BY period_start LIMIT 1") == 4
    assert_balanced(line)


def test_a_crash_after_commit_takes_nothing_back_twice(line):
    emitter = Emitter(line, apply(line, CATALOG))
    add_usage(emitter, 60, now_ms())
    for n in range(0, 60, 2):
        retract(emitter, f"e{n}", "t0")
    for point in ("after_commit:2", "in_transaction:2", "after_commit:1"):
        aggregator = start(line, AGGREGATOR_BATCH_MAX=5, METERLINE_TEST_CRASH=point)
        aggregator.wait_exit(30)
    start(line)
    retract(emitter, "e1", "t1")
    settle(line)
    prove(line, emitter.oracle)


def test_a_thousand_at_once_are_a_matter_of_moments(line):
    emitter = Emitter(line, apply(line, CATALOG))
    base = now_ms()
    emitter.add_all({"tenant": f"t{n % 50}", "metric": ["peak", "tokens"][n % 2], "quantity": n % 97,
                     "id": str(n), "ts": base - (n * 7919) % (20 * DAY_MS)} for n in range(20_000))
    start(line)
    settle(line)
    emitter.add_all({"tenant": f"t{n % 50}", "id": str(n), "op": "retract"}
                    for n in range(0, 20_000, 20))
    settle(line, timeout=60)
    prove(line, emitter.oracle)


def test_what_was_billed_is_taken_back_from_stripe(shop):  # noqa: F811
    add_tenants(shop, "acme")
    emitter = Emitter(shop)
    for metric, quantity, id in (("llm_tokens", 100, "a"), ("llm_tokens", 50, "b"),
                                 ("user_seats", 7, "c"), ("user_seats", 9, "d")):
        emitter.add(tenant="acme", metric=metric, quantity=quantity, id=id)

    def bill():
        shop.must("aggregator", "--once")
        once(shop)
        return total(shop, "acme", "llm_tokens"), total(shop, "acme", "user_seats")

    assert bill() == (150, 9)
    retract(emitter, "a", "acme")
    retract(emitter, "d", "acme")
    assert bill() == (50, 7)
    retract(emitter, "a", "acme")
    assert bill() == (50, 7)
    # Nothing is left of it, and its period is another one before the sink comes to it.
    retract(emitter, "b", "acme")
    shop.must("aggregator", "--once")
    Periods(shop).subscribe("acme", now_ms() - 10 * DAY_MS)
    assert bill()[0] == 0
    assert_balanced(shop)


def test_a_minute_whose_raw_events_were_dropped_stays_as_it_is(line):
    emitter = Emitter(line)
    emitter.add(tenant="a", metric="api_calls", quantity=4, id="x", ts=now_ms() - 3 * DAY_MS)
    emitter.add(tenant="a", metric="api_calls", quantity=5, id="y")
    line.sql("INSERT INTO usage_batches_dropped (stream, epoch, day, events, occurred_max) "
             "VALUES ('other', 1, now()::date - 2, 1, now() - interval '2 days')")
    line.xadd(tenant="a", op="retract", id="x")
    line.xadd(tenant="a", op="retract", id="y")
    line.must("aggregator", "--once")
    assert line.value("SELECT sum(quantity) FROM usage_totals") == 4
    assert "retention" in line.value("SELECT detail FROM rejected_events")
