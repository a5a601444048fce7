"""What each daemon exports: what docs/metrics.md says, under its labels, and which build runs."""

import re
import subprocess

import pytest

from line.line import TEST_WEBHOOK_SECRET
from line.paths import ROOT

REFUSING = """#!lua name=meterline
redis.register_function('meterline_used', function() return redis.error_reply('ERR full') end)"""


def reference():
    """name -> (type, labels, stages)"""
    rows = re.findall(r"^\| `(meterline_\w+)` \| (\w+) \| (.*?) ?\| (.*?) \| .* \|$",
                      (ROOT / "docs/metrics.md").read_text(), re.MULTILINE)
    return {name: (kind, re.findall(r"`(\w+)`", labels), stages) for name, kind, labels, stages in rows}


def exported(text):
    """name -> (type, sets of label names)"""
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
    found = {name: (kind, set()) for name, kind in kinds.items()}
    for name, labels in re.findall(r"^(meterline_\w+)(?:\{(.*)\})? \S+$", text, re.MULTILINE):
        family = name if name in kinds else re.sub(r"_(bucket|sum|count)$", "", name)
        names = [label for label in re.findall(r'(\w+)="', labels) if label != "le"]
        found[family][1].add(tuple(names))
    return found


@pytest.fixture
def stages(line):
    line.catalog()
    line.start_sandbox()
    return {"aggregator": line.start_aggregator().wait_ready(), "sink": line.start_sink(SINK_INTERVAL_S=1).wait_ready(),
            "webhookd": line.start_webhookd().wait_ready()}


def test_each_stage_exports_what_the_reference_says(line, stages):
    line.xadd(tenant="acme", metric="api_calls")
    line.xadd(tenant="acme", metric="api_calls", quantity="many")
    line.wait_for(lambda: stages["aggregator"].metric("meterline_rejected_total", reason="bad_quantity") == 1)
    known = reference()
    for name, stage in stages.items():
        found = exported(stage.get("/metrics")[1])
        assert len(found) >= 5, name
        for metric, (kind, label_sets) in found.items():
            assert metric in known, (name, metric)
            assert kind == known[metric][0] and label_sets <= {tuple(known[metric][1])}, (name, metric, label_sets)
            assert known[metric][2] == "every stage" or name in known[metric][2], (name, metric)


def test_the_build_is_told(line, stages):
    version = line.must("meterctl", "--version").stdout.split()[1]
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout
    for stage in stages.values():
        told = re.search(r'^meterline_build_info\{version="(.*?)",revision="(.*?)"\} 1$', stage.get("/metrics")[1],
                         re.MULTILINE)
        assert told.group(1) == version
        revision = told.group(2).removesuffix("-dirty")
        assert revision == "unknown" or (commit and re.fullmatch("[0-9a-f]{7,40}", revision))


def test_rejects_are_told_by_reason(line, stages):
    for metric in ("x", "y"):
        line.xadd(tenant="acme", metric=metric)
    line.xadd(metric="api_calls")
    line.xadd(tenant="acme", metric="api_calls", id="1")
    line.xadd(tenant="acme", metric="api_calls", id="1", quantity="2")
    aggregator = stages["aggregator"]
    line.wait_for(lambda: aggregator.metric("meterline_events_total", outcome="conflict") == 1)
    told = {reason: aggregator.metric("meterline_rejected_total", reason=reason)
            for reason in ("unknown_metric", "missing_field", "conflict")}
    assert told == {"unknown_metric": 2, "missing_field": 1, "conflict": 1}


def test_metrics_and_tenants_that_fell_silent_are_seen(line):
    """By when their usage was, whichever process counted it, and whether or not one was started since."""
    now_ms = line.value("SELECT (extract(epoch FROM now()) * 1000)::bigint")
    for tenant, metric, hours in (("acme", "api_calls", 0), ("beta", "api_calls", 5), ("beta", "llm_tokens", 3),
                                  ("gamma", "llm_tokens", 100)):
        line.xadd(tenant=tenant, metric=metric, ts=str(now_ms - hours * 3600000))
    line.must("aggregator", "--once")
    line.sql("UPDATE usage_totals SET period_end = now() - interval '1 day' WHERE tenant = 'gamma'")
    line.start_sandbox()

    def look():
        sink = line.start_sink(SINK_INTERVAL_S=1).wait_ready()
        line.wait_for(lambda: "meterline_tenants{" in sink.get("/metrics")[1])
        return sink.metrics()

    seen = look()
    silent = {metric: seen.value("meterline_metric_silent_seconds", metric=metric) for metric in ("api_calls", "llm_tokens")}
    assert 0 <= silent["api_calls"] < 600 and 10800 <= silent["llm_tokens"] < 11400
    assert [seen.value("meterline_tenants", age=age) for age in ("under_1h", "under_1d", "under_7d", "over_7d")] == [1, 1, 1, 0]
    line.sql("UPDATE metrics SET retired_at = now() WHERE metric = 'llm_tokens'")
    line.sql("UPDATE usage_totals SET period_end = now() - interval '36 days' WHERE tenant = 'gamma'")
    seen = look()
    assert "llm_tokens" not in {labels.get("metric") for name, labels, _ in seen.samples if "silent" in name}
    assert seen.value("meterline_tenants") == 2


def test_what_took_time_is_told(line, stages):
    """Each histogram that dashboards draw from has seen what passed through the line."""
    webhookd = stages["webhookd"]
    line.sandbox.webhook(webhookd.webhook_url, secret=TEST_WEBHOOK_SECRET)
    line.sandbox.bootstrap(meters=[{"event_name": "api_calls", "formula": "sum"}], tenants=["acme"],
                           price_lookup_key="standard")
    line.wait_for(lambda: line.value("SELECT count(*) FROM subscriptions") == 1)
    line.xadd(tenant="acme", metric="api_calls")
    line.wait_for(lambda: line.value("SELECT count(*) FROM usage_submissions WHERE state = 'sent'") == 1, 30)
    expected = {"aggregator": {"aggregation": {}, "commit": {}, "quota_age": {}},
                "sink": {"stripe_request": {"kind": "meter_events"}},
                "webhookd": {"webhook_processing": {"outcome": "processed"}, "webhook_answer": {},
                             "stripe_request": {"kind": "fetch"}}}
    for stage, histograms in expected.items():
        for name, labels in histograms.items():
            line.wait_for(lambda: (stages[stage].metric(f"meterline_{name}_seconds_count", **labels) or 0) > 0)
            assert stages[stage].metric(f"meterline_{name}_seconds_sum", **labels) < 600, name
    for stage in stages.values():
        assert stage.metric("meterline_ready") == 1
        assert 2 ** 20 < stage.metric("meterline_memory_bytes") < 2 ** 32
    aggregator = stages["aggregator"].metrics()
    assert aggregator.value("meterline_database_bytes") > 2 ** 20
    assert aggregator.value("meterline_unowned_streams") == 0
    assert aggregator.value("meterline_dedupe_window_target_seconds") == 24 * 3600


def test_a_quota_cache_that_cannot_be_written_gets_old(line, stages):
    """The age of the last write stays as it was: what waits, and since when all was gone over, rise."""
    aggregator = stages["aggregator"]
    line.xadd(tenant="acme", metric="api_calls")
    line.wait_for(lambda: line.client().hget("quota:{acme}", "api_calls.used") == "1")
    assert aggregator.metric("meterline_oldest_waiting_seconds", queue="quota_cache") < 5
    line.client().function_load(REFUSING, replace=True)
    line.xadd(tenant="acme", metric="api_calls")
    line.wait_for(lambda: aggregator.metric("meterline_oldest_waiting_seconds", queue="quota_cache") > 3)
    assert aggregator.metric("meterline_quota_refresh_age_seconds") > 3
    line.client().function_flush()
    line.wait_for(lambda: aggregator.metric("meterline_oldest_waiting_seconds", queue="quota_cache") == 0)
    assert line.client().hget("quota:{acme}", "api_calls.used") == "2"


def test_what_waits_is_a_queue_in_every_stage(line, stages):
    for stage, queue in (("aggregator", "usage:events"), ("aggregator", "quota_cache"), ("sink", "submissions"), ("webhookd", "webhooks")):
        line.wait_for(lambda stage=stage, queue=queue: f'waiting_seconds{{queue="{queue}"}}' in
                      stages[stage].get("/metrics")[1])


def test_what_is_counted_and_not_claimed_is_told_by_why_and_age(line):
    """In whole units, as they would be claimed; of each total since it last changed."""
    line.catalog()
    line.start_sandbox()
    line.sql("INSERT INTO billing_customers (tenant, stripe_customer_id) VALUES ('acme', 'cus_acme')")
    line.sql("INSERT INTO billing_customers (tenant, stripe_customer_id, contested_since) VALUES ('two', 'cus_two', now())")
    for tenant, quantity in (("free", "7.5"), ("free", "2"), ("idle", "40"), ("old", "3"), ("acme", "12"), ("part", "0.5"), ("two", "8")):
        line.xadd(tenant=tenant, metric="api_calls", quantity=quantity)
    line.xadd(tenant="free", metric="llm_tokens", quantity="5")
    line.must("aggregator", "--once")
    for tenant, age in (("idle", "20 minutes"), ("old", "30 hours")):
        line.sql(f"UPDATE usage_totals SET updated_at = now() - interval '{age}' WHERE tenant = '{tenant}'")
    sink = line.start_sink(SINK_INTERVAL_S=1).wait_ready()

    def units(metric, reason, age):
        return sink.metric("meterline_unclaimed_units", metric=metric, reason=reason, age=age)

    line.wait_for(lambda: "meterline_unclaimed_units{" in sink.get("/metrics")[1])
    found = {(reason, age): units("api_calls", reason, age) for reason, age in
             re.findall(r'unclaimed_units\{metric="api_calls",reason="(\w+)",age="(\w+)"\}', sink.get("/metrics")[1])}
    if ("waiting", "under_15m") in found:  # Counted before the first claim.
        assert found.pop(("waiting", "under_15m")) == 12
    assert found == {("unmapped", "under_15m"): 9, ("unmapped", "under_1h"): 40, ("unmapped", "over_1d"): 3,
                     ("contested", "under_15m"): 8}
    assert units("llm_tokens", "unmapped", "under_15m") == 5
    listed = line.sql("SELECT reason, sum(quantity) AS quantity FROM usage_unbilled WHERE metric = 'api_calls' GROUP BY 1")
    assert {row.reason: int(row.quantity) for row in listed if row.reason == "unmapped"} == {"unmapped": 61}
