"""All stages on one line: whatever happens to the sink or to webhookd, the books of the whole line balance."""

import pytest

from line.line import TEST_WEBHOOK_SECRET

TENANTS = ["acme", "beta", "gamma"]
METRICS = ["api_calls", "llm_tokens"]
FAULT = {"path": "/v1/billing/meter_events", "method": "POST"}


@pytest.fixture(name="whole")
def whole_fixture(line):
    """Aggregator and webhookd at work, three tenants subscribed; the sink is the test's."""
    line.start_sandbox(rate_per_s=0)
    line.start_aggregator(AGGREGATOR_FLUSH_MS=50).wait_ready()
    webhookd = line.start_webhookd().wait_ready()
    line.sandbox.webhook(webhookd.webhook_url, secret=TEST_WEBHOOK_SECRET)
    line.sandbox.bootstrap(
        meters=[{"event_name": metric, "formula": "sum"} for metric in METRICS], tenants=TENANTS,
        price_lookup_key="standard")
    line.wait_for(lambda: line.value("SELECT count(*) FROM subscriptions") == len(TENANTS), 20,
                  "webhookd knows the subscriptions")
    return line


def emit(line, quantity):
    """One event a tenant and metric, each sent twice; then all of it counted."""
    before = line.value("SELECT coalesce(sum(counted), 0) FROM stream_positions")
    for tenant in TENANTS:
        for metric in METRICS:
            for _ in range(2):
                line.xadd(tenant=tenant, metric=metric, quantity=str(quantity),
                          id=f"{metric}-{quantity}")
    line.wait_for(lambda: line.value("SELECT sum(counted) FROM stream_positions")
                  == before + len(TENANTS) * len(METRICS), 20, "all events are counted")


def prove(line, each):
    """Stripe holds `each` of every tenant and metric, to the unit, and all books balance."""
    line.wait_for(lambda: all(int(line.sandbox.total(tenant, metric) or 0) == each
                              for tenant in TENANTS for metric in METRICS), 20,
                  f"Stripe holds {each} of each")
    line.wait_for(lambda: line.value("SELECT count(*) FROM usage_submissions "
                                     "WHERE state <> 'sent'") == 0, 20, "all is settled")
    audit = line.audit()
    assert audit.ok, audit.text
    assert all(stream["difference"] == 0 for stream in audit.streams)
    assert line.sandbox.violations() == 0


def start_sink(line, **settings):
    settings = {"SINK_INTERVAL_S": 1, "SINK_RATE_PER_S": 500, "SINK_TIMEOUT_MS": 2000, **settings}
    return line.start_sink(**settings)


@pytest.mark.parametrize("point", ["in_claim", "after_pick", "after_apply"])
def test_the_sink_is_killed_at(whole, point):
    emit(whole, 5)
    dying = start_sink(whole, METERLINE_TEST_CRASH=point)
    dying.wait_exit()
    assert dying.returncode == -9
    assert whole.audit().ok, "in between, too"
    # Time passes: the dead sink's hold on what it had picked ends.
    whole.sql("UPDATE usage_submissions SET lease_until = now() WHERE state = 'sending'")
    start_sink(whole)
    prove(whole, 5)


@pytest.mark.parametrize("fault", [
    {"fault": "status", "status": 500, "times": 3},
    {"fault": "status", "status": 429, "times": 3},
    {"fault": "drop_after_apply", "times": 3},
    {"fault": "hang", "times": 2}], ids=["500", "429", "drop_after_apply", "nothing"])
def test_stripe_answers(whole, fault):
    whole.sandbox.fault(**FAULT, **fault)
    emit(whole, 7)
    start_sink(whole)
    prove(whole, 7)


@pytest.mark.own_servers
def test_servers_are_away_for_a_while_under_all_stages(whole):
    start_sink(whole).wait_ready()
    emit(whole, 3)
    for server in (whole.redis, whole.postgres):
        server.kill()
        for stage in whole.stages:
            if server is whole.postgres or stage.name != "sink":
                whole.wait_for(lambda s=stage: not s.ready(), 15, f"{stage.label} notices")
        server.start()
        for stage in whole.stages:
            stage.wait_ready()
    # The test's own connections come back here.
    whole.wait_for(lambda: whole.value("SELECT 1") and whole.client().ping(), 10, "we are back")
    emit(whole, 4)
    prove(whole, 7)


def test_webhooks_come_again_and_an_older_one_late(whole):
    emit(whole, 2)
    ids = [row.event_id for row in whole.sql("SELECT event_id FROM webhook_events "
                                             "ORDER BY created_at")]
    for event in reversed(ids):
        whole.sandbox.redeliver(event)
    start_sink(whole)
    prove(whole, 2)
    assert whole.value("SELECT count(*) FROM webhook_events") == len(ids)
    assert whole.value("SELECT count(*) FROM subscriptions WHERE status = 'active'") == len(TENANTS)
