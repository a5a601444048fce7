"""A line at work, as Prometheus watches it."""

from line.line import TEST_WEBHOOK_SECRET

TENANTS = ["acme", "beta", "gamma"]
METRICS = ["api_calls", "llm_tokens"]


def use(line):
    """Usage as on any day: each tenant's and metric's, some of it sent twice."""
    for tenant in TENANTS:
        for metric in METRICS:
            for _ in range(2):
                line.xadd(tenant=tenant, metric=metric, quantity="2.5")
                line.xadd(tenant=tenant, metric=metric, id=f"{metric}-once")


def start_watched(line, feed=use):
    """All stages, three tenants subscribed, what feed(line) emits counted; then job -> ports."""
    line.start_sandbox(rate_per_s=0)
    stages = [line.start_aggregator(AGGREGATOR_FLUSH_MS=50).wait_ready(), line.start_webhookd().wait_ready()]
    line.sandbox.webhook(stages[1].webhook_url, secret=TEST_WEBHOOK_SECRET)
    line.sandbox.bootstrap(meters=[{"event_name": metric, "formula": "sum"} for metric in METRICS],
                           tenants=TENANTS, price_lookup_key="standard")
    line.wait_for(lambda: line.value("SELECT count(*) FROM subscriptions") == len(TENANTS), 30, "subscriptions")
    feed(line)
    # The sink looks at all totals when it begins, and then once a minute.
    line.wait_for(lambda: line.value("SELECT count(*) FROM usage_totals") >= len(TENANTS) * len(METRICS), 20, "totals")
    stages.append(line.start_sink(SINK_INTERVAL_S=1, SINK_RATE_PER_S=500).wait_ready())
    stages.append(line.start_notifier().wait_ready())
    stages.append(line.start_api().wait_ready())
    return {stage.name: [stage.ops_port] for stage in stages}
