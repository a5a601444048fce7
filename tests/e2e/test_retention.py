"""meterctl retention apply: what is past its keep goes, what is still needed stays, and all adds up."""

import json

import pytest

from line import Line
from support.by_hand import seal
from support.moved_clock import MovedPostgres, faketime
from support.retention import age, apply, outcomes

STREAM = "usage:events"


def raw_days(line):
    return line.value("SELECT count(*) FROM pg_inherits WHERE inhparent = 'usage_batches'::regclass")


def test_a_day_of_nothing_but_repeats_goes_before_an_older_one_that_is_kept(folder, request):
    """It took no minute with it; its batch stays in the chain as long as the older one does."""
    line = Line(folder, postgres=MovedPostgres(folder))
    request.node.meterline = line
    try:
        line.postgres.offset_s = -60 * 86_400
        line.settings.update(faketime(line.postgres.offset_s))
        line.start_servers()
        line.migrate()
        line.catalog()
        line.sql("INSERT INTO billing_customers (tenant, stripe_customer_id) VALUES ('acme', 'cus_1')")
        for days_ago in (60, 59):
            line.postgres.offset_s = -days_ago * 86_400
            line.postgres.restart()
            line._disconnect()
            line.settings.update(faketime(line.postgres.offset_s))
            now = int(line.value("SELECT extract(epoch FROM now()) * 1000"))
            line.xadd(entry_id=f"{now}-0", tenant="acme", metric="api_calls", id="same", ts=now - (60 - days_ago) * 86_400_000)
            line.must("aggregator", "--once")
        line.postgres.offset_s = 0
        line.postgres.restart()
        line._disconnect()
        line.settings.update(faketime(0))
        assert line.value("SELECT count(*) FROM usage_repeats") == 1 and line.audit().balanced, line.audit().text
        report = apply(line, RAW_KEEP_DAYS=40)
        assert ("dropped", None) in outcomes(report) and ("kept", "unclaimed") in outcomes(report), report
        assert line.value("SELECT count(*) FROM usage_repeats") == 0
        assert line.audit().balanced, line.audit().text
        assert line.must("meterctl", "rebuild", "--check").stdout.endswith("rebuild ok\n")
    finally:
        line.close()


def test_old_days_go_and_everything_adds_up(line):
    age(line, days=100)
    age(line, days=95)
    line.xadd(tenant="acme", metric="api_calls")
    line.must("aggregator", "--once")
    partitions = raw_days(line)
    dry = apply(line, "--dry-run")
    assert outcomes(dry) == [("would_drop", None)] * 2
    assert [row["events"] for row in dry["days"]] == [1, 1] and all(row["bytes"] > 0 for row in dry["days"])
    assert raw_days(line) == partitions
    assert outcomes(apply(line)) == [("dropped", None)] * 2
    assert raw_days(line) == partitions - 2
    assert line.value("SELECT sum(events) FROM usage_batches_dropped") == 2
    assert line.audit().ok, line.audit().text
    check = json.loads(line.must("meterctl", "rebuild", "--check", "--json").stdout)
    assert check["unchecked_before"] and check["minutes"] == 1
    assert outcomes(apply(line)) == []
    line.must("aggregator", "--once")


def test_the_aggregators_apply_it_once_a_day(line):
    age(line, days=100)
    age(line, days=50)
    line.xadd(tenant="acme", metric="no_such_metric")
    line.must("aggregator", "--once")
    line.sql("UPDATE rejected_events SET rejected_at = now() - interval '8 days', batch = NULL")
    seal(line)
    partitions = raw_days(line)
    settings = {"RAW_KEEP_DAYS": 60, "REJECT_KEEP_DAYS": 7}
    stages = [line.start_aggregator(**settings)]
    applied = stages[0].wait_log("retention_applied")
    assert (applied["days"], applied["events"], applied["rejected"]) == ("1", "1", "1")
    assert raw_days(line) == partitions - 1
    assert line.value("SELECT count(*) FROM rejected_events") == 0
    assert line.audit().ok, line.audit().text
    # Not again before a day has passed; then by any that runs.
    stages[0].term()
    age(line, days=70)
    begun = "SELECT value FROM ledger_state WHERE name = 'retention_ms'"
    line.sql("UPDATE ledger_state SET value = value - 86400001 WHERE name = 'retention_ms'")
    long_ago = line.value(begun)
    assert line.start_aggregator(**settings).wait_log("retention_applied")["days"] == "1"
    assert line.value(begun) > long_ago + 86400000


def test_the_keep_is_a_setting_with_a_floor(line):
    age(line, days=60)
    assert outcomes(apply(line)) == []
    assert line.meterctl("retention", "apply", RAW_KEEP_DAYS=35).returncode == 2
    assert line.meterctl("retention", "apply", REJECT_KEEP_DAYS=0).returncode == 2
    assert "RAW_KEEP_DAYS" in line.meterctl("--help").stdout
    assert outcomes(apply(line, RAW_KEEP_DAYS=59)) == [("dropped", None)]
    assert line.audit().ok


def add_submission(line, state, days, tenant="acme"):
    line.sql("INSERT INTO usage_submissions (identifier, tenant, metric, transport, stripe_customer_id, event_name, "
             "period_start, claim, usage_at, quantity, body, state) SELECT 'ml-1', %s, 'api_calls', 'meter_events', "
             "'cus_1', 'api_calls', lower(p), 1, minute_of(now() - make_interval(days => %s)), 1, '', %s "
             "FROM usage_period(%s, now() - make_interval(days => %s)) p", tenant, days, state, tenant, days)


@pytest.mark.parametrize("state", ["pending", "sending", "held", "failed", "in_doubt", "late"])
def test_a_submission_that_is_not_finished_keeps_its_days(line, state):
    age(line, days=100)
    add_submission(line, state, 100)
    assert outcomes(apply(line)) == [("kept", "submission")]
    text = line.must("meterctl", "retention", "apply").stdout
    assert "outcome=kept reason=submission" in text
    line.sql("UPDATE usage_submissions SET tenant = 'zen'")
    assert outcomes(apply(line, "--dry-run")) == [("would_drop", None)]
    line.sql("UPDATE usage_submissions SET tenant = 'acme', usage_at = usage_at - interval '70 days'")
    assert outcomes(apply(line, "--dry-run")) == [("would_drop", None)]
    line.sql("UPDATE usage_submissions SET usage_at = usage_at + interval '70 days', state = 'sent'")
    assert outcomes(apply(line)) == [("dropped", None)]


def test_a_total_that_waits_to_be_claimed_keeps_its_days(line):
    age(line, days=100)
    line.sql("INSERT INTO billing_customers (tenant, stripe_customer_id) VALUES ('acme', 'cus_1')")
    assert outcomes(apply(line)) == [("kept", "unclaimed")]
    line.sql("UPDATE metrics SET aggregation = 'max' WHERE metric = 'api_calls'")
    line.sql("UPDATE usage_totals SET quantity = 1000000000000000")
    assert line.value("SELECT reason FROM usage_unbilled") == "too_large"
    assert outcomes(apply(line)) == [("kept", "unclaimed")]
    line.sql("INSERT INTO usage_claims (tenant, metric, period_start, version, claimed, claims) "
             "SELECT tenant, metric, period_start, version, quantity, 1 FROM usage_totals")
    assert outcomes(apply(line)) == [("dropped", None)]


def test_what_is_used_or_folded_later_is_kept(line):
    age(line, days=100, used_days=80)
    assert outcomes(apply(line)) == [("kept", "usage")]
    line.sql("UPDATE usage_batches SET occurred_max = now() - interval '99 days'")
    line.sql("INSERT INTO usage_pending SELECT batch, stream, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}' "
             "FROM usage_batches")
    assert outcomes(apply(line)) == [("kept", "not_folded")]
    line.sql("DELETE FROM usage_pending")
    assert outcomes(apply(line)) == [("dropped", None)]


def test_old_rejects_go_and_are_tallied(line):
    for metric in ("nope", "nope", "api_calls", "api_calls"):
        line.xadd(tenant="acme", metric=metric, id=f"id-{metric}", quantity=line.client().xlen(STREAM))
    line.must("aggregator", "--once")
    assert line.value("SELECT count(*) FROM rejected_events") == 3
    line.sql("UPDATE rejected_events SET rejected_at = now() - interval '91 days', replayed_at = now(), "
             "batch = NULL WHERE rejected_id > 1")
    seal(line)
    assert apply(line, "--dry-run")["rejected_events"] == 2
    assert apply(line)["rejected_events"] == 2
    assert line.value("SELECT count(*) FROM rejected_events") == 1
    assert line.sql("SELECT conflict, events FROM rejected_events_dropped ORDER BY 1") == [(False, 1), (True, 1)]
    assert line.audit().ok, line.audit().text
    assert apply(line, REJECT_KEEP_DAYS=1)["rejected_events"] == 0


def test_old_webhook_bodies_go(line):
    line.sql("INSERT INTO webhook_events (event_id, type, state, created_at, payload, received_at) "
             "SELECT 'evt_' || state, 'x', state, now(), '{}', now() - interval '31 days' "
             "FROM unnest('{processed,ignored,failed,received}'::text[]) state")
    assert apply(line, "--dry-run")["webhook_payloads"] == 2
    assert apply(line, WEBHOOK_PAYLOAD_KEEP_DAYS=32)["webhook_payloads"] == 0
    assert apply(line)["webhook_payloads"] == 2
    assert line.value("SELECT count(*) FROM webhook_events WHERE payload IS NULL") == 2


def test_a_long_reader_does_not_make_aggregators_wait(line):
    """The drop waits behind a reader half a second at a time; what is emitted meanwhile is counted."""
    age(line, days=100)
    reader = line.postgres.connect()
    reader.autocommit = False
    cursor = reader.cursor()
    cursor.execute("SELECT count(*) FROM usage_batches")
    line.start_aggregator(AGGREGATOR_FLUSH_MS=20)
    waiting = line.start("meterctl", args=["retention", "apply"], label="retention")
    line.wait_for(lambda: line.value("SELECT count(*) FROM pg_locks WHERE NOT granted") > 0
                  or line.value("SELECT count(*) FROM usage_batches_dropped") > 0)
    for number in range(3):
        line.xadd(tenant="acme", metric="llm_tokens")
        line.wait_for(lambda n=number: line.value(
            "SELECT sum(quantity) FROM usage_totals WHERE metric = 'llm_tokens'") == n + 1)
    assert line.value("SELECT count(*) FROM usage_batches_dropped") == 0
    reader.rollback()
    reader.close()
    line.wait_for(lambda: line.value("SELECT count(*) FROM usage_batches_dropped") == 1)
    waiting.wait_exit()
    assert waiting.returncode == 0
    assert line.audit().ok, line.audit().text


def test_what_waits_since_an_outage_keeps_the_raw_events_that_it_may_repeat(line):
    """Counted 100 days ago, and sent again the same day: nobody read that before today."""
    age(line, days=100)
    long_ago = "(extract(epoch FROM now() - interval '100 days') * 1000)::bigint"
    seen = "added_seen = base + counted + duplicates + rejected + conflicts + lost"
    line.sql(f"UPDATE stream_positions SET {seen} + 1, last_id = {long_ago} || '-0'")
    assert outcomes(apply(line)) == []
    line.sql("UPDATE stream_positions SET last_id = '18446744073709551615-0'")  # No clock shows that.
    assert outcomes(apply(line, "--dry-run")) == [("would_drop", None)]
    line.sql(f"UPDATE stream_positions SET {seen}, last_id = {long_ago} || '-0'")
    assert outcomes(apply(line)) == [("dropped", None)]
