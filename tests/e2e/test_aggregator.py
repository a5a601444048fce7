"""Counting: what goes in as entries comes out as rows, each event once, nothing dropped."""

from redis import Redis as Client

from line.line import STREAM
from support.aggregator import CATALOG, DAY_MS, apply, now_ms, start
from support.ledger_proof import Emitter, assert_balanced, position, prove, reasons, settle
from support.usage_oracle import AGE_MAX_MS, FUTURE_MAX_MS, MINUTE_MS


def test_the_same_event_twice_is_counted_once_and_shows_in_the_quota_cache_within_2_s(line):
    start(line, AGGREGATOR_FLUSH_MS=1000).wait_log("stream_opened")
    emitter = Emitter(line)
    for expected in ("counted", "duplicates"):
        assert emitter.add(tenant="acme", metric="api_calls", quantity=2, id="r1").kind == expected
    line.wait_for(lambda: line.client().hget("quota:{acme}", "api_calls.used") == "2", 2,
                  "the quota cache tells the usage")
    period_end = int(line.client().hget("quota:{acme}", "api_calls.period_end"))
    assert now_ms() < period_end <= now_ms() + 31 * DAY_MS
    settle(line)
    prove(line, emitter.oracle)
    assert line.client().xlen(STREAM) == 0
    assert line.client().xinfo_groups(STREAM)[0]["lag"] == 0


BAD = {  # reason -> what makes a good event bad
    "missing_field": [{"tenant": None}, {"metric": None}],
    "bad_field": [{"note": b"a\0b"}, {"note": b"\xff\xfe"}, {"tenant": b"a\xc3("}, {"tenant": ""},
                  {"tenant": "a\x01b"}, {"tenant": "a\x7f"}, {"id": ""}, {"id": b"\xed\xa0\x80"},
                  {"op": "delete"}, {"Model": "x"}, {"sp ace": "x"}, {b"\xff": "x"}, {"": "x"},
                  {"metric": b"api\0calls"}, {"x" * 65: "x"}],
    "unknown_metric": [{"metric": "nope"}],
    "bad_quantity": [{"quantity": text} for text in
                     ("", "1e3", "+1", ".5", "1.", "0x10", " 1", "1234567890123456789",
                      "0.1234567890", "NaN", "--1", "1,5")],
    "bad_timestamp": [{"ts": text} for text in ("", "soon", "1.5", "9" * 30)],
    "too_old": [{"ts": -AGE_MAX_MS - MINUTE_MS}],
    "in_future": [{"ts": FUTURE_MAX_MS + MINUTE_MS}],
    "too_large": [{"tenant": "t" * 129}, {"id": "i" * 256}, {"note": "n" * 257},
                  {f"d{n}": "x" for n in range(17)}, {"blob": "b" * 70_000}],
    "unknown_retraction": [{"op": "retract"}],
}


def test_what_cannot_be_counted_is_kept_with_its_reason_and_stops_nobody(line):
    start(line)
    emitter = Emitter(line)
    for reason, changes in BAD.items():
        for number, change in enumerate(changes):
            if "ts" in change and isinstance(change["ts"], int):
                change = {"ts": now_ms() + change["ts"]}
            event = {"tenant": "acme", "metric": "api_calls", "id": f"{reason}-{number}", **change}
            fields = [(name, value) for name, value in event.items() if value is not None]
            assert reason in emitter.add(fields).reasons, (reason, change)
            emitter.add(tenant="good", metric="api_calls", id=f"{reason}-{number}")
    twice = [("tenant", "a"), ("metric", "api_calls"), ("note", "x"), ("note", "x")]
    for fields in (twice, [("metric", "api_calls"), ("tenant", "a"), ("tenant", "a")]):
        assert emitter.add(fields).reasons == {"bad_field"}
    emitter.add(tenant="acme", metric="api_calls", id="c", quantity="1.50", model="a")
    for change, kind in (({"quantity": "01.5"}, "duplicates"), ({"quantity": "2"}, "conflicts"),
                         ({"model": "b"}, "conflicts"), ({"metric": "llm_tokens"}, "conflicts"),
                         ({"tenant": "other"}, "counted"), ({"ts": now_ms() - 1}, "duplicates")):
        fields = {"tenant": "acme", "metric": "api_calls", "id": "c", "quantity": "1.50",
                  "model": "a", **change}
        assert emitter.add(fields).kind == kind, change
    settle(line)
    prove(line, emitter.oracle)
    assert set(reasons(line)) == {*BAD, "conflict"}
    cut = line.value("SELECT fields FROM rejected_events WHERE fields::text LIKE '%%truncated%%'")
    kept = sum(len(name) + len(value) for name, value in cut[:-1])
    assert cut[-1] == {"truncated_bytes": 70_000 + len("tenantacmemetricapi_callsidtoo_large-4blob")
                       - kept}
    assert line.value("SELECT max(octet_length(fields::text)) FROM rejected_events") < 66_000


def test_defaults_and_bounds_of_a_good_event(line):
    start(line)
    emitter = Emitter(line)
    emitter.add(tenant="t" * 128, metric="api_calls", id="ü" * 127, note="n" * 256)
    emitter.add(tenant="späte ☕", metric="api_calls", quantity="-999999999999999999.999999999")
    emitter.add(tenant="späte ☕", metric="api_calls", quantity="0.000000001")
    emitter.add({f"d{n}": "\t\"\\\u2028\u0085" for n in range(16)}, tenant="a", metric="api_calls")
    emitter.add(tenant="a", metric="api_calls", id="6F9619FF-8B86-D011-B42D-00C04FC964FF")
    emitter.add(tenant="a", metric="api_calls", id="6f9619ff-8b86-d011-b42d-00c04fc964ff")
    emitter.add(tenant="a", metric="api_calls", id="6f9619ff-8b86-d011-b42d-00c04fc964ff")
    emitter.add(tenant="a", metric="api_calls", ts=now_ms() - AGE_MAX_MS + MINUTE_MS)
    emitter.add(tenant="a", metric="api_calls", ts=now_ms() + FUTURE_MAX_MS - MINUTE_MS)
    default_id = f"{STREAM}/{line.client().xinfo_stream(STREAM)['last-generated-id']}"
    emitter.add(tenant="a", metric="api_calls", id=default_id)
    emitter.add(tenant="a", metric="api_calls", quantity="-0")
    settle(line)
    assert emitter.oracle.outcomes() == {"counted": 9, "duplicates": 2, "rejected": 0,
                                         "conflicts": 0}
    prove(line, emitter.oracle)


def test_every_aggregation_dimensions_and_derived_metrics(line):
    emitter = Emitter(line, apply(line, CATALOG))
    start(line, AGGREGATOR_BATCH_MAX=7)
    base = now_ms() // MINUTE_MS * MINUTE_MS
    for n in range(60):
        emitter.add(tenant=f"t{n % 2}", metric="tokens", quantity=f"{n}.5", ts=base - n * 7000,
                    model=["large", "small"][n % 3 == 0], region=["eu", "us", "ü"][n % 3],
                    note=str(n))
        emitter.add(tenant="t1", metric="logins", quantity=17, ts=base - n * 1000)
        emitter.add(tenant="t1", metric="peak", quantity=(n * 37) % 50 - 60, ts=base - n * 3000)
    same_ms = base - 90_000
    for quantity, ts in ((5, base - 100_000), (9, same_ms), (3, base - 120_000), (7, same_ms),
                         (4, same_ms - 1)):
        emitter.add(tenant="t1", metric="seats", quantity=quantity, ts=ts)
    emitter.add(tenant="t1", metric="large_tokens", quantity=1)  # derived: nobody may emit it
    settle(line)
    prove(line, emitter.oracle)
    assert emitter.oracle.total("t1", "seats") == 7
    assert emitter.oracle.total("t1", "logins") == 60
    assert reasons(line) == {"unknown_metric": 1}


def test_late_events_go_to_their_own_minute_and_period_in_whatever_order(line):
    start(line, AGGREGATOR_BATCH_MAX=1)
    emitter = Emitter(line)
    now = now_ms()
    for days in (0, 30, 3, 34, 1, 33, 0):
        for metric, quantity in (("llm_tokens", "0.1"), ("storage_gb", days + 1)):
            emitter.add(tenant="late", metric=metric, quantity=quantity, ts=now - days * DAY_MS)
    settle(line)
    prove(line, emitter.oracle)
    assert len(emitter.oracle.totals()) >= 4


def test_a_catalog_applied_while_running_counts_at_once(line):
    aggregator = start(line)
    aggregator.wait_log("stream_opened")
    first = Emitter(line)
    first.add(tenant="a", metric="tokens", id="1")
    settle(line)
    oracle = apply(line, CATALOG)
    second = Emitter(line, oracle)
    oracle.entries = first.oracle.entries
    assert second.add(tenant="a", metric="tokens", id="1", model="large").kind == "counted"
    assert second.add(tenant="a", metric="api_calls", id="2").kind == "rejected"  # retired
    settle(line)
    prove(line, oracle)


def test_any_batch_size_and_pace_give_the_same(line):
    emitter = Emitter(line)
    for seed, (batch_max, flush_ms) in enumerate([(1, 1), (7, 1000), (64, 20), (1_000_000, 1)]):
        aggregator = start(line, AGGREGATOR_BATCH_MAX=batch_max, AGGREGATOR_FLUSH_MS=flush_ms)
        events = list(emitter.usage(120, repeats=0.3, seed=max(seed - 1, 0)))
        emitter.add_all(events[:len(events) // 7 * 7])  # Batches of 7 are full: none waits 60 s.
        settle(line)
        aggregator.term()
    prove(line, emitter.oracle)


def test_once_counts_what_is_there_and_ends(line):
    emitter = Emitter(line)
    emitter.add_all(emitter.usage(3000, repeats=0.1))
    done = line.must("aggregator", "--once", AGGREGATOR_BATCH_MAX=500)
    assert "event=stream_caught_up" in done.stderr
    prove(line, emitter.oracle)
    assert position(line).owner is None
    line.must("aggregator", "--once")
    prove(line, emitter.oracle)


def test_metrics_tell_the_balance_and_the_lag(line):
    aggregator = start(line)
    emitter = Emitter(line)
    emitter.add_all(emitter.usage(200, repeats=0.2))
    emitter.add(tenant="a", metric="nope")
    settle(line)
    outcomes = emitter.oracle.outcomes()
    for outcome, kind in (("counted", "counted"), ("duplicate", "duplicates"),
                          ("rejected", "rejected"), ("conflict", "conflicts")):
        line.wait_for(lambda: aggregator.metric("meterline_events_total", outcome=outcome)
                      == outcomes[kind], 5, f"{outcome} is exported")
    metrics = aggregator.metrics()
    for name in ("meterline_unaccounted_events", "meterline_stream_lag_events",
                 "meterline_oldest_waiting_seconds"):
        assert metrics.value(name) == 0, name
    assert metrics.value("meterline_dedupe_window_seconds") == 24 * 3600
    assert metrics.value("meterline_commit_seconds_count") >= 1
    assert metrics.value("meterline_peer_up", peer="redis") == 1
    assert_balanced(line)


def test_a_lost_quota_cache_heals_from_the_ledger(line):
    start(line).wait_log("stream_opened")
    line.xadd(tenant="a{b}", metric="api_calls", quantity="12.500")
    used = lambda: line.client().hget("quota:{a{b}}", "api_calls.used")  # noqa: E731
    line.wait_for(lambda: used() == "12.5", 5, "usage is in the cache")
    client: Client = line.client()
    client.delete("quota:{a{b}}")
    client.function_flush()
    line.xadd(tenant="a{b}", metric="api_calls", quantity="0.5")
    line.wait_for(lambda: used() == "13", 10, "usage is in the cache again")
    version = int(client.hget("quota:{a{b}}", "api_calls.version"))
    client.hset("quota:{a{b}}", "api_calls.version", version + 1000)
    line.xadd(tenant="a{b}", metric="api_calls", quantity="1")
    settle(line)
    assert used() == "13"  # An older writer never sets it back.
