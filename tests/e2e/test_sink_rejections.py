"""Stripe takes usage and refuses it later, and names only samples of it: the rest is found by comparing."""

import time

import pytest

from line import Line
from line.line import TEST_WEBHOOK_SECRET
from support.moved_clock import MovedPostgres, move_clock
from support.sink import EVENTS, add_tenants, count, forget_leases, states

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
        # Subscriptions are written by hand, and totals without usage: what it found at Stripe would undo them.
        webhookd = line.start_webhookd(CATCH_UP_INTERVAL_S="0").wait_ready()
        line.sandbox.webhook(webhookd.webhook_url, secret=TEST_WEBHOOK_SECRET,
                             enabled_events=["v1.billing.meter.error_report_triggered"])
        # No nightly comparison comes to help.
        line.settings["SINK_RECONCILE_AT"] = line.value(
            "SELECT to_char(now() AT TIME ZONE 'UTC' + interval '9 hours', 'HH24:MI')")
        yield line
    finally:
        line.close()


def is_paused_between_cycles(sink):
    """A cycle begins with the second: it is over, and the next second has not come. Else the sink goes on."""
    sink.pause()
    if sink.logs("cycle_settled")[-1]["ts"][:19] == time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()):
        return True
    sink.resume()
    return False


def test_what_a_report_does_not_name_is_found_once_stripes_summaries_tell(shop):
    add_tenants(shop, *TENANTS)
    meter, = [meter["id"] for meter in shop.sandbox.api("GET", "/v1/billing/meters").json["data"]
              if meter["event_name"] == "api_calls"]
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    # It has looked at the meters, and is between two cycles: one that is frozen claims some of them and not the others.
    shop.wait_for(lambda: len(sink.logs("cycle_settled")) >= 2)
    shop.wait_for(lambda: is_paused_between_cycles(sink))
    shop.sandbox.api("POST", f"/v1/billing/meters/{meter}/deactivate")
    for n, tenant in enumerate(TENANTS):
        count(shop, tenant, "api_calls", str(100 + n))
    sink.resume()                   # All go out together, and are told of in one report.
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


# The report comes while the call is in flight.

LONG = "1000000000000004"   # One claim makes two submissions of it, in one lane.
DELAY_MS = 6000


def start_refused_call(shop, **settings):
    """A sink whose call of the first of two is in flight, and that one's identifier: its refusal is told."""
    add_tenants(shop, "acme")
    count(shop, "acme", "api_calls", LONG)
    shop.sandbox.fault("reject", path=EVENTS, times=1)
    shop.sandbox.fault("delay", path=EVENTS, times=1, delay_ms=DELAY_MS)
    sink = shop.start_sink(SINK_INTERVAL_S=1, **settings)
    shop.wait_for(lambda: shop.value("SELECT count(refused_later) FROM usage_submissions"))
    assert states(shop) == {"sending": 1, "pending": 1}
    return sink, shop.value("SELECT identifier FROM usage_submissions WHERE refused_later IS NOT NULL")


def wait_failed(shop, identifier):
    """It was tried once, and failed with Stripe's reason; then the one behind it in its lane went out."""
    shop.wait_for(lambda: states(shop) == {"failed": 1, "sent": 1})
    row, = shop.sql("SELECT * FROM usage_submissions WHERE identifier = %s", identifier)
    assert row.state == "failed" and row.last_error == row.refused_later
    assert row.last_error.startswith("refused later: meter_event_customer_not_found: ")
    assert row.first_sent_at and row.sent_at is None and row.owner is None and row.lease_until is None
    assert row.attempts == 1 and len(shop.sandbox.identifiers(identifier)) == 1


@pytest.mark.parametrize("timeout_ms", [30000, DELAY_MS - 1000], ids=["answered", "unanswered"])
def test_what_is_refused_while_its_call_is_in_flight_fails_once_that_has_ended(shop, timeout_ms):
    """However that ends; its lane is taken until then."""
    sink, identifier = start_refused_call(shop, SINK_TIMEOUT_MS=timeout_ms)
    wait_failed(shop, identifier)
    assert shop.sandbox.violations() == 0
    sink.term()


def test_what_is_refused_while_its_sink_dies_is_never_sent_again(shop):
    """Its lane is taken until the lease has passed; then the next sink takes it for failed."""
    sink, identifier = start_refused_call(shop)
    sink.kill9()
    other = shop.start_sink(SINK_INTERVAL_S=1)
    other.wait_log("cycle_settled")
    assert states(shop) == {"sending": 1, "pending": 1}
    forget_leases(shop)
    wait_failed(shop, identifier)
    other.term()


def test_what_is_refused_later_is_known_of_a_call_that_the_client_repeated(shop):
    """A kept connection broke off after Stripe had taken the request; the one sent once more met the rate limit. That
    one surely changed nothing, the call did."""
    add_tenants(shop, "acme")
    count(shop, "acme", "api_calls", "5")
    sink = shop.start_sink(SINK_INTERVAL_S=1, SINK_MAX_IN_FLIGHT=1)
    shop.wait_for(lambda: states(shop) == {"sent": 1})
    for fault, more in (("reject", {}), ("drop_after_apply", {}), ("status", {"status": 429})):
        shop.sandbox.fault(fault, path=EVENTS, times=1, **more)
    count(shop, "acme", "api_calls", "7")
    shop.wait_for(lambda: states(shop) == {"failed": 1, "sent": 1})
    row, = shop.sql("SELECT * FROM usage_submissions WHERE state = 'failed'")
    assert row.refused_later and row.first_sent_at and len(shop.sandbox.identifiers(row.identifier)) >= 2
    assert [fault["fired"] for fault in shop.sandbox.faults()] == [1, 1, 1]
    sink.term()
