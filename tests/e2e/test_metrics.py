"""What each daemon exports: what docs/metrics.md says, under its labels, and which build runs."""

import re
import subprocess

import pytest

from line.paths import ROOT


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


def test_a_metric_whose_events_stay_away_is_seen(line, stages):
    aggregator = stages["aggregator"]

    def age(metric):
        return aggregator.metric("meterline_last_event_age_seconds", metric=metric)

    line.wait_for(lambda: "meterline_last_event_age_seconds" in aggregator.get("/metrics")[1])
    line.wait_for(lambda: age("api_calls") > 2)
    before = age("llm_tokens")
    line.xadd(tenant="acme", metric="api_calls")
    line.wait_for(lambda: age("api_calls") < 2)
    assert age("llm_tokens") > before
    line.sql("UPDATE metrics SET retired_at = now() WHERE metric = 'llm_tokens'")
    line.sql("UPDATE ledger_state SET value = value + 1 WHERE name = 'catalog_version'")
    line.xadd(tenant="acme", metric="api_calls")
    line.wait_for(lambda: 'age_seconds{metric="llm_tokens"}' not in aggregator.get("/metrics")[1])


def test_what_waits_is_a_queue_in_every_stage(line, stages):
    for stage, queue in (("aggregator", "usage:events"), ("sink", "submissions"), ("webhookd", "webhooks")):
        line.wait_for(lambda stage=stage, queue=queue: f'waiting_seconds{{queue="{queue}"}}' in
                      stages[stage].get("/metrics")[1])


def test_what_is_counted_and_not_claimed_is_told_by_why_and_age(line):
    """In whole units, as they would be claimed; of each total since it last changed."""
    line.catalog()
    line.start_sandbox()
    line.sql("INSERT INTO billing_customers (tenant, stripe_customer_id) VALUES ('acme', 'cus_acme')")
    for tenant, quantity in (("free", "7.5"), ("free", "2"), ("idle", "40"), ("old", "3"), ("acme", "12"), ("part", "0.5")):
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
    assert found == {("unmapped", "under_15m"): 9, ("unmapped", "under_1h"): 40, ("unmapped", "over_1d"): 3}
    assert units("llm_tokens", "unmapped", "under_15m") == 5
    listed = line.sql("SELECT reason, sum(quantity) AS quantity FROM usage_unbilled WHERE metric = 'api_calls' GROUP BY 1")
    assert {row.reason: int(row.quantity) for row in listed if row.reason == "unmapped"} == {"unmapped": 53}
