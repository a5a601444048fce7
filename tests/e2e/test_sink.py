"""The sink against the sandbox: what was counted reaches Stripe exactly once, whatever fails."""

import signal

import pytest

from line.paths import ROOT
from support.sink import (
    EVENTS, KNOWN, add_tenants, count, forget_leases, is_sent, once, states, subscribe, total, unbilled)


def test_sum_and_last_reach_stripe_exactly_and_only_once(shop):
    add_tenants(shop, "acme")
    count(shop, "acme", "llm_tokens", "1234.9")
    count(shop, "acme", "user_seats", "7")
    once(shop)
    assert total(shop, "acme", "llm_tokens") == 1234
    assert total(shop, "acme", "user_seats") == 7
    assert states(shop) == {"sent": 2}
    once(shop)
    assert len(shop.sandbox.meter_events()) == 2
    left = shop.sql("SELECT metric, quantity, reason FROM usage_unbilled")
    assert [(row.metric, str(row.quantity.normalize()), row.reason) for row in left] == [
        ("llm_tokens", "0.9", "carried")]


def test_growth_and_corrections_are_sent_as_differences(shop):
    add_tenants(shop, "acme")
    for quantity, expected in [("100", 100), ("250.5", 250), ("240", 240), ("240.999", 240)]:
        count(shop, "acme", "api_calls", quantity)
        count(shop, "acme", "storage_gb", quantity)
        once(shop)
        assert total(shop, "acme", "api_calls") == expected
        assert total(shop, "acme", "storage_gb") == expected
    sent = [int(e["value"]) for e in shop.sandbox.meter_events(event_name="api_calls")]
    assert sent == [100, 150, -10]
    rising = [e["timestamp"] for e in shop.sandbox.meter_events(event_name="storage_gb")]
    assert rising == sorted(set(rising)) and len(rising) == 3
    once(shop)
    assert len(shop.sandbox.meter_events()) == 6


def test_no_two_submissions_of_a_lane_share_a_minute_or_leave_their_period(shop):
    add_tenants(shop, "acme")
    for quantity in range(1, 9):
        count(shop, "acme", "api_calls", quantity)
        once(shop)
    rows = shop.sql("""SELECT s.usage_at, p.period_start, p.period_end, s.period_start AS claimed_in
                         FROM usage_submissions s, billing_period(s.tenant, s.usage_at) p""")
    assert len({row.usage_at for row in rows}) == 8
    assert all(row.usage_at.second == 0 and row.period_start == row.claimed_in for row in rows)
    assert total(shop, "acme", "api_calls") == 8


def test_kill_after_stripe_applied_and_before_the_settlement_bills_once(shop):
    """Stripe answers "already exists" or replays its answer; we had sent it, so it is sent."""
    add_tenants(shop, "acme")
    count(shop, "acme", "llm_tokens", "5")
    sink = shop.start_sink(SINK_INTERVAL_S=1, METERLINE_TEST_CRASH="after_apply")
    assert sink.wait_exit() == -signal.SIGKILL
    assert total(shop, "acme", "llm_tokens") == 5 and states(shop) == {"sending": 1}
    once(shop)
    assert states(shop) == {"sending": 1}  # The lease of the dead one still holds the lane.
    forget_leases(shop)
    once(shop)
    assert states(shop) == {"sent": 1} and total(shop, "acme", "llm_tokens") == 5


def test_kill_between_the_pick_and_the_first_byte_loses_nothing(shop):
    add_tenants(shop, "acme")
    count(shop, "acme", "llm_tokens", "5")
    sink = shop.start_sink(SINK_INTERVAL_S=1, METERLINE_TEST_CRASH="after_pick")
    assert sink.wait_exit() == -signal.SIGKILL
    assert total(shop, "acme", "llm_tokens") == 0 and states(shop) == {"sending": 1}
    forget_leases(shop)
    once(shop)
    assert states(shop) == {"sent": 1} and total(shop, "acme", "llm_tokens") == 5


def test_kill_inside_the_claim_claims_once(shop):
    add_tenants(shop, "acme")
    count(shop, "acme", "llm_tokens", "5")
    sink = shop.start_sink(SINK_INTERVAL_S=1, METERLINE_TEST_CRASH="in_claim")
    assert sink.wait_exit() == -signal.SIGKILL
    assert states(shop) == {}
    once(shop)
    assert states(shop) == {"sent": 1} and total(shop, "acme", "llm_tokens") == 5


@pytest.mark.parametrize("fault", [
    {"fault": "drop_after_apply"},
    {"fault": "drop_before_apply"},
    {"fault": "hang"},
    {"fault": "status", "status": 500},
    {"fault": "status", "status": 503, "body": "<html>busy</html>"},
    {"fault": "status", "status": 500, "applied": True, "stored": False},
    {"fault": "status", "status": 429},
    {"fault": "status", "status": 409},
    {"fault": "status", "status": 404, "body": "<html>no such page</html>"},
    {"fault": "status", "status": 200, "body": "<html>log in to the hotel</html>"},
    {"fault": "status", "status": 400, "headers": {"Stripe-Should-Retry": "true"}},
], ids=lambda f: "-".join(str(v) for k, v in f.items() if k not in ("body", "headers")))
def test_a_try_that_fails_is_made_again_with_the_same_bytes(shop, fault):
    add_tenants(shop, "acme", "other")
    count(shop, "acme", "llm_tokens", "5")
    count(shop, "other", "llm_tokens", "6")
    shop.sandbox.fault(path=EVENTS, times=2, **fault)
    sink = shop.start_sink(SINK_INTERVAL_S=1, SINK_TIMEOUT_MS=500)
    shop.wait_for(is_sent(shop, 2))
    assert total(shop, "acme", "llm_tokens") == 5 and total(shop, "other", "llm_tokens") == 6
    record = sink.wait_log("send_delayed")
    assert record["attempt"] == "1" and record["customer"] in shop.tenants.values()
    assert len({e["identifier"] for e in shop.sandbox.meter_events()}) == 2
    sink.term()


def test_a_refusal_waits_for_a_person_and_does_not_stop_the_lane(shop):
    add_tenants(shop, "acme")
    count(shop, "acme", "llm_tokens", "5")
    shop.sandbox.fault("status", path=EVENTS, status=400, times=1)
    once(shop)
    assert states(shop) == {"failed": 1}
    count(shop, "acme", "llm_tokens", "7")
    once(shop)
    assert states(shop) == {"failed": 1, "sent": 1}
    assert total(shop, "acme", "llm_tokens") == 2
    assert "HTTP 400" in shop.value("SELECT last_error FROM usage_submissions WHERE state = 'failed'")


def test_what_was_sent_in_an_earlier_life_of_the_database_is_in_doubt(shop):
    """After a restore the claim is made anew under the same identifier, which Stripe knows."""
    add_tenants(shop, "acme")
    count(shop, "acme", "llm_tokens", "5")
    once(shop)
    before = shop.value("SELECT identifier FROM usage_submissions")
    shop.sql("TRUNCATE usage_submissions, usage_claims")
    count(shop, "acme", "llm_tokens", "9")
    once(shop)
    assert shop.value("SELECT identifier FROM usage_submissions") == before
    assert states(shop) == {"in_doubt": 1} and total(shop, "acme", "llm_tokens") == 5


def test_no_certain_answer_for_23_hours_is_in_doubt_and_not_sent_again(shop):
    add_tenants(shop, "acme")
    count(shop, "acme", "llm_tokens", "5")
    shop.sandbox.fault("drop_after_apply", path=EVENTS)
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    sink.wait_log("send_delayed")
    sink.kill9()
    shop.sql("""UPDATE usage_submissions SET state = 'pending', next_attempt_at = now(),
                first_sent_at = now() - interval '23 hours 1 minute'""")
    tries = len(shop.sandbox.requests(path=EVENTS))
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    sink.wait_log("send_doubted")
    assert states(shop) == {"in_doubt": 1} and len(shop.sandbox.requests(path=EVENTS)) == tries
    shop.wait_for(lambda: sink.metric("meterline_submissions", state="in_doubt") == 1)


def test_a_later_one_never_overtakes_one_that_waits(shop):
    add_tenants(shop, "acme", "other")
    count(shop, "acme", "storage_gb", "5")
    shop.sandbox.fault("status", path=EVENTS, status=500, times=3)
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    sink.wait_log("send_delayed")
    count(shop, "acme", "storage_gb", "6")
    shop.wait_for(is_sent(shop, 2))
    assert [e["value"] for e in shop.sandbox.meter_events()] == ["5", "6"]
    assert total(shop, "acme", "storage_gb") == 6


def test_two_sinks_side_by_side_send_each_difference_once(shop):
    tenants = [f"t{n}" for n in range(100)]
    add_tenants(shop, *tenants)
    sinks = [shop.start_sink(SINK_INTERVAL_S=1) for _ in range(2)]
    for step in (1, 2):
        for n, tenant in enumerate(tenants):
            for metric, _ in KNOWN[:3]:
                count(shop, tenant, metric, str((n + 1) * step))
    shop.wait_for(lambda: all(
        shop.sandbox.total(shop.tenants[t], "api_calls") == 2 * (n + 1)
        for n, t in ((0, "t0"), (99, "t99"))), 60)
    shop.wait_for(lambda: set(states(shop)) == {"sent"} and not shop.sql(
        "SELECT 1 FROM usage_unbilled WHERE reason = 'waiting'"), 60)
    ours = {(row.c, row.metric): int(row.quantity) for row in shop.sql(
        """SELECT b.stripe_customer_id AS c, t.metric, t.quantity
             FROM usage_totals t JOIN billing_customers b USING (tenant)""")}
    assert len(ours) == 300
    theirs = {(row["customer"], row["event_name"]): int(row["value"])
              for row in shop.sandbox.totals()}
    assert theirs == ours and shop.sandbox.violations() == 0
    for sink in sinks:
        sink.term()


@pytest.mark.own_servers
def test_postgres_away_is_a_state(shop):
    add_tenants(shop, "acme")
    sink = shop.start_sink(SINK_INTERVAL_S=1).wait_ready()
    shop.sandbox.fault("delay", path=EVENTS, delay_ms=1500, times=1)
    count(shop, "acme", "llm_tokens", "5")
    shop.wait_for(lambda: shop.sandbox.requests(path=EVENTS))
    shop.postgres.stop()
    shop.wait_for(lambda: not sink.ready())
    shop.wait_for(lambda: total(shop, "acme", "llm_tokens") == 5)
    shop.postgres.start()
    shop.wait_for(is_sent(shop, 1))
    count(shop, "acme", "llm_tokens", "8")
    shop.wait_for(is_sent(shop, 2))
    assert total(shop, "acme", "llm_tokens") == 8
    sink.wait_ready()
    sink.term()


def test_a_sink_that_was_frozen_in_a_call_finds_itself_fenced(shop):
    """Another one took over by the lease, and settled."""
    add_tenants(shop, "acme")
    shop.sandbox.fault("delay", path=EVENTS, delay_ms=3000, times=1)
    frozen = shop.start_sink(SINK_INTERVAL_S=1)
    count(shop, "acme", "llm_tokens", "5")
    shop.wait_for(lambda: shop.sandbox.requests(path=EVENTS))
    frozen.pause()
    forget_leases(shop)
    second = shop.start_sink(SINK_INTERVAL_S=1)
    shop.wait_for(is_sent(shop, 1))
    frozen.resume()
    frozen.term()
    assert states(shop) == {"sent": 1} and total(shop, "acme", "llm_tokens") == 5
    second.term()


def test_what_was_picked_too_long_ago_is_handed_back_unsent(shop):
    """Frozen between the COMMIT of the pick and the first byte: the lease may be another's by now."""
    add_tenants(shop, "acme")
    # The next pick is the one that the claim calls for: one that began before it sees nothing due yet.
    sink = shop.start_sink(SINK_INTERVAL_S=86400).wait_ready()
    sink.wait_log("cycle_settled")
    with shop.postgres.connect() as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtext('meterline picks'))")
        count(shop, "acme", "llm_tokens", "5")
        shop.sql("SELECT request_sink('acme', 'settle')")
        shop.wait_for(lambda: states(shop) == {"pending": 1} and shop.value(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
        sink.pause()
        cursor.execute("SELECT pg_advisory_unlock(hashtext('meterline picks'))")
    shop.wait_for(lambda: states(shop) == {"sending": 1})
    shop.wait_for(lambda: shop.value("SELECT now() - last_sent_at > interval '11 s' "
                                     "FROM usage_submissions"))
    sink.resume()
    shop.wait_for(is_sent(shop, 1))
    assert shop.value("SELECT attempts FROM usage_submissions") == 2
    assert len(shop.sandbox.requests(path=EVENTS)) == 1
    sink.term()


def test_what_is_claimed_while_a_turn_ends_is_sent_without_another_cycle(shop):
    """The turn's own look came before that claim: what it says of nothing being left is old."""
    shop.sql("""CREATE FUNCTION wait_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NULL; END $$""")
    shop.sql("""CREATE CONSTRAINT TRIGGER wait_at_commit AFTER UPDATE ON usage_submissions DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW WHEN (NEW.state = 'sent') EXECUTE FUNCTION wait_at_commit()""")
    add_tenants(shop, "acme", "other")
    sink = shop.start_sink(SINK_INTERVAL_S=86400).wait_ready()
    with shop.postgres.connect() as test, test.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(4711)")
        count(shop, "acme", "api_calls", "5")
        shop.sql("SELECT request_sink('acme', 'settle')")
        shop.wait_for(lambda: shop.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
        count(shop, "other", "api_calls", "6")
        shop.sql("SELECT request_sink('other', 'settle')")
        shop.wait_for(lambda: len(sink.logs("claimed_before_cycle")) == 2 and not shop.sql("SELECT FROM sink_requests"))
        cursor.execute("SELECT pg_advisory_unlock(4711)")
    shop.wait_for(is_sent(shop, 2))
    sink.term()


def test_cycles_are_aligned_to_the_clock(shop):
    sink = shop.start_sink(SINK_INTERVAL_S=3).wait_ready()
    shop.wait_for(lambda: len(sink.logs("cycle_settled")) >= 3)
    ticks = [r["ts"] for r in sink.logs("cycle_settled")][1:]  # The first is the start's own.
    assert all(int(ts[17:19]) % 3 <= 1 for ts in ticks), ticks


def test_every_statement_prepares_on_the_schema_for_the_role(line):
    files = sorted((ROOT / "sink" / "sql").glob("*.sql"))
    line.sql("SET ROLE meterline_sink")
    for file in files:
        line.sql("PREPARE p AS " + file.read_text(encoding="utf-8"))
        line.sql("DEALLOCATE p")
    assert len(files) > 20


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_stops_all_sending_but_for_probes(shop, status):
    tenants = [f"t{n}" for n in range(40)]
    add_tenants(shop, *tenants)
    for tenant in tenants:
        count(shop, tenant, "api_calls", "3")
    fault = shop.sandbox.fault("status", path=EVENTS, status=status)
    sink = shop.start_sink(SINK_INTERVAL_S=1, SINK_MAX_IN_FLIGHT=4)
    sink.wait_log("account_refused")
    shop.wait_for(lambda: not sink.ready())
    assert "refuses our key" in sink.get("/readyz")[1]
    assert sink.metric("meterline_peer_up", peer="stripe") == 0
    assert fault and len(shop.sandbox.requests(path=EVENTS)) < 10
    assert shop.value("SELECT count(*) FROM usage_submissions WHERE first_sent_at IS NOT NULL "
                      "AND state = 'pending'") == 0
    shop.sandbox.clear_faults()
    shop.wait_for(is_sent(shop, 40))
    assert sink.wait_log("sending_resumed") and sink.ready()


def test_once_with_a_refused_key_ends_with_1(shop):
    add_tenants(shop, "acme")
    count(shop, "acme", "api_calls", "3")
    shop.sandbox.fault("status", path=EVENTS, status=401)
    assert shop.run("meterline-sink", "--once").returncode == 1
    assert states(shop) == {"pending": 1}


def test_stripe_away_is_a_state_and_does_not_begin_the_23_hours(shop):
    add_tenants(shop, "acme")
    count(shop, "acme", "api_calls", "3")
    sink = shop.start_sink(SINK_INTERVAL_S=1, STRIPE_API_BASE="http://127.0.0.1:1")
    sink.wait_log("sending_blocked")
    shop.wait_for(lambda: states(shop) == {"pending": 1})
    assert shop.value("SELECT first_sent_at FROM usage_submissions") is None
    sink.term()
    once(shop)
    assert states(shop) == {"sent": 1}


def test_a_rate_limit_slows_the_sink_and_loses_nothing(shop):
    tenants = [f"t{n}" for n in range(60)]
    add_tenants(shop, *tenants)
    for tenant in tenants:
        count(shop, tenant, "api_calls", "3")
    shop.sandbox.set(rate_per_s=30)
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    shop.wait_for(is_sent(shop, 60), 60)
    sink.wait_log("rate_lowered")
    assert sum(int(row["value"]) for row in shop.sandbox.totals()) == 180


def test_held_sinks_neither_claim_nor_send(shop):
    add_tenants(shop, "acme")
    count(shop, "acme", "api_calls", "3")
    shop.sql("UPDATE ledger_state SET value = 1 WHERE name = 'sink_hold'")
    assert shop.run("meterline-sink", "--once").returncode == 1
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    assert "meterctl restore accept" in sink.wait_log("sinks_held")["msg"]
    shop.wait_for(lambda: sink.get("/readyz") == (503, "held: `meterctl restore accept` says why, and with --yes lets sinks go on\n"))
    assert sink.metric("meterline_sink_held") == 1 and states(shop) == {}
    shop.sql("UPDATE ledger_state SET value = 0 WHERE name = 'sink_hold'")
    shop.wait_for(is_sent(shop, 1))
    sink.wait_log("hold_lifted")
    sink.wait_ready()


def test_what_is_not_billed_shows_why(shop):
    add_tenants(shop, "acme")
    subscribe(shop, "acme", "now() - interval '2 days'")
    count(shop, "acme", "api_calls", "4", at="now() - interval '3 days'")
    count(shop, "nobody", "api_calls", "6")
    count(shop, "acme", "api_calls", "8")
    once(shop)
    assert total(shop, "acme", "api_calls") == 8
    assert unbilled(shop) == {"before_subscription": "4", "unmapped": "6"}


def test_a_moved_edge_of_a_period_does_not_bill_twice(shop):
    """A subscription began two minutes ago; Stripe's event came only now, after claims by month."""
    add_tenants(shop, "acme")
    count(shop, "acme", "api_calls", "50")
    once(shop)
    assert total(shop, "acme", "api_calls") == 50
    shop.sql("""INSERT INTO usage_aggregates (tenant, metric, minute_at, events, quantity_sum,
                    quantity_min, quantity_max, quantity_last, last_ms, last_entry)
                VALUES ('acme', 'api_calls', minute_of(now() - interval '1 minute'), 1, 45, 45, 45, 45, 0, ''),
                       ('acme', 'api_calls', minute_of(now() - interval '3 minutes'), 1, 5, 5, 5, 5, 0, '')""")
    subscribe(shop, "acme", "now() - interval '2 minutes'")
    once(shop)
    # All 50 were sent with a minute of the subscription's; 5 of them were used before it.
    assert total(shop, "acme", "api_calls") == 45
    assert unbilled(shop) == {"before_subscription": "5"}
    claims = shop.sql("SELECT quantity FROM usage_submissions ORDER BY created_at")
    assert [int(row.quantity) for row in claims] == [50, -5]


def test_usage_of_a_period_whose_invoice_is_final_is_late(shop):
    add_tenants(shop, "acme")
    subscribe(shop, "acme", "now() - interval '1 month' - interval '3 days'")
    shop.sql("""INSERT INTO invoices (stripe_invoice_id, tenant, stripe_customer_id,
                    stripe_subscription_id, status, currency, amount_due_minor, amount_paid_minor,
                    period_start, period_end, finalized_at)
                SELECT 'in_1', 'acme', 'cus', 'sub_1', 'paid', 'usd', 0, 0, current_period_start,
                       current_period_end, now() FROM subscriptions""")
    count(shop, "acme", "api_calls", "4", at="now() - interval '5 days'")
    count(shop, "acme", "api_calls", "9")
    once(shop)
    assert states(shop) == {"late": 1, "sent": 1} and total(shop, "acme", "api_calls") == 9


def test_quantities_beyond_fifteen_digits_are_split(shop):
    add_tenants(shop, "acme")
    count(shop, "acme", "llm_tokens", "2000000000000007")
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    shop.wait_for(is_sent(shop, 3))
    assert total(shop, "acme", "llm_tokens") == 2000000000000007
    sink.term()


def test_one_total_that_the_database_refuses_does_not_stop_the_others(shop):
    """Another tenant had that customer before, and used the same claim."""
    add_tenants(shop, "t1", "t2", "t3")
    for tenant in ("t1", "t2", "t3"):
        count(shop, tenant, "api_calls", "4")
    once(shop)
    shop.sql("UPDATE usage_submissions SET tenant = 'former', usage_at = usage_at - interval '3 minutes' "
             "WHERE tenant = 't2'")
    shop.sql("DELETE FROM usage_claims WHERE tenant = 't2'")
    for tenant in ("t1", "t2", "t3"):
        count(shop, tenant, "api_calls", "5")
    done = once(shop)
    assert "event=claim_refused" in done.stderr and "tenant=t2" in done.stderr
    assert total(shop, "t1", "api_calls") == 5 and total(shop, "t3", "api_calls") == 5
    assert unbilled(shop) == {"waiting": "5"}
    # Its next claim has another number, and so another identifier.
    once(shop)
    assert unbilled(shop) == {} and total(shop, "t2", "api_calls") == 9


def test_sigterm_finishes_and_settles_what_is_in_flight(shop):
    add_tenants(shop, "acme")
    count(shop, "acme", "api_calls", "3")
    shop.sandbox.fault("delay", path=EVENTS, delay_ms=1000, times=1)
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    shop.wait_for(lambda: shop.sandbox.requests(path=EVENTS))
    sink.term()
    assert states(shop) == {"sent": 1}


def test_sigterm_hands_back_what_does_not_end(shop):
    add_tenants(shop, "acme")
    count(shop, "acme", "api_calls", "3")
    shop.sandbox.fault("hang", path=EVENTS, times=1)
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    shop.wait_for(lambda: shop.sandbox.requests(path=EVENTS))
    sink.term()
    assert states(shop) == {"pending": 1}
    assert shop.value("SELECT first_sent_at FROM usage_submissions") is not None


def test_the_request_is_what_stripe_documents(shop):
    add_tenants(shop, "acme")
    count(shop, "acme", "llm_tokens", "5")
    once(shop)
    row = shop.sql("SELECT * FROM usage_submissions")[0]
    assert row.body == (f"event_name=llm_tokens&payload[stripe_customer_id]={shop.tenants['acme']}"
                        f"&payload[value]=5&identifier={row.identifier}"
                        f"&timestamp={int(row.usage_at.timestamp())}")
    assert row.request_id.startswith("req_") and row.attempts == 1 and row.sent_at
    seen = shop.sandbox.identifiers(row.identifier)
    assert len(seen) == 1


# Settings.

def test_wrong_settings_are_all_told_at_once(line):
    done = line.run("meterline-sink", STRIPE_SECRET_KEY="sk_live_x", STRIPE_API_BASE="http://a.b",
                    STRIPE_METER_EVENTS_BASE="http://c.d", SINK_INTERVAL_S="0",
                    SINK_MAX_IN_FLIGHT="many", SINK_RATE_PER_S="-1")
    assert done.returncode == 2
    for name in ("STRIPE_SECRET_KEY", "STRIPE_API_BASE", "STRIPE_METER_EVENTS_BASE",
                 "SINK_INTERVAL_S", "SINK_MAX_IN_FLIGHT", "SINK_RATE_PER_S"):
        assert name in done.stderr
    assert "sk_live_x" not in done.stderr


@pytest.mark.parametrize("key", ["sk_live_abc", "rk_live_abc"])
def test_live_keys_need_consent(line, key):
    assert line.run("meterline-sink", "--print-config", STRIPE_SECRET_KEY=key).returncode == 2
    done = line.run("meterline-sink", "--print-config", STRIPE_SECRET_KEY=key, STRIPE_LIVE="1")
    assert done.returncode == 0 and key not in done.stdout


@pytest.mark.parametrize("base, taken", [
    ("https://api.stripe.com", True), ("http://127.0.0.1:12111", True), ("http://[::1]:1", True),
    ("http://localhost:1/", True), ("http://api.stripe.com", False), ("ftp://x", False),
    ("http://127.0.0.1.evil.example", False), ("http://127.0.0.1@evil.example", False),
    ("https://", False), ("", True)])
def test_the_key_goes_only_over_tls_or_to_this_machine(line, base, taken):
    done = line.run("meterline-sink", "--print-config", STRIPE_API_BASE=base)
    assert (done.returncode == 0) == taken, done.stderr


def test_no_line_of_the_log_shows_the_key_or_a_body(shop):
    add_tenants(shop, "acme")
    count(shop, "acme", "llm_tokens", "5")
    done = once(shop, LOG_LEVEL="debug")
    assert shop.settings["STRIPE_SECRET_KEY"] not in done.stderr and "payload" not in done.stderr
