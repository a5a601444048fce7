"""Stripe takes usage and refuses it later, and names only samples of it: the rest is found by comparing."""

import pytest

from line import Line
from line.line import TEST_WEBHOOK_SECRET
from moved_clock import MovedPostgres, move_clock
from test_sink import add_tenants, count, states

TENANTS = [f"t{n}" for n in range(12)]
NAMED = 5       # Stripe's report has so many samples of a reason.


@pytest.fixture(name="shop")
def shop_fixture(folder, request):
    line = Line(folder, postgres=MovedPostgres(folder), SINK_RATE_PER_S="1000")
    request.node.meterline = line
    try:
        line.start_servers()
        line.migrate()
        line.catalog()
        line.start_sandbox(rate_per_s=0)
        line.tenants = {}
        webhookd = line.start_webhookd().wait_ready()
        line.sandbox.webhook(webhookd.webhook_url, secret=TEST_WEBHOOK_SECRET,
                             enabled_events=["v1.billing.meter.error_report_triggered"])
        # No nightly comparison comes to help.
        line.settings["SINK_RECONCILE_AT"] = line.value(
            "SELECT to_char(now() AT TIME ZONE 'UTC' + interval '9 hours', 'HH24:MI')")
        yield line
    finally:
        line.close()


def test_what_a_report_does_not_name_is_found_once_stripes_summaries_tell(shop):
    add_tenants(shop, *TENANTS)
    meter, = [meter["id"] for meter in shop.sandbox.api("GET", "/v1/billing/meters").json["data"]
              if meter["event_name"] == "api_calls"]
    shop.sandbox.api("POST", f"/v1/billing/meters/{meter}/deactivate")
    for n, tenant in enumerate(TENANTS):
        count(shop, tenant, "api_calls", str(100 + n))
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    shop.wait_for(lambda: states(shop) == {"failed": NAMED, "sent": len(TENANTS) - NAMED}, 30)
    assert shop.sandbox.totals() == []
    sink.term()
    move_clock(shop, 15 * 60)
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    missing = {row.tenant: -int(row.quantity) for row in shop.sql(
        "SELECT tenant, quantity FROM usage_submissions WHERE state = 'sent'")}
    shop.wait_for(lambda: {row.tenant: int(row.drift_units) for row in shop.sql(
        "SELECT tenant, drift_units FROM usage_drift WHERE drift_units <> 0")} == missing, 90,
        "the drift of each that was not named is found")
    shop.wait_for(lambda: sink.metric("meterline_stripe_drift_units") == -sum(missing.values()), 20)
