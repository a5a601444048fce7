"""`meterctl restore accept --yes` over many tenants: each place is read once, at the sink's rate; sinks go on tenant by
tenant; it tells how far it is; and killed, it goes on where it stopped."""

import collections
import urllib.parse

import pytest

from sink_shop import add_tenants, count, once, open_shop, subscribe, total

METRICS = ["api_calls", "llm_tokens", "storage_gb"]   # Those with a meter.
SUMMARIES = "/v1/billing/meters/"
TENANTS = [f"t{n:03}" for n in range(240)]
LOST = TENANTS[100:105]
WORKERS = 8


@pytest.fixture(name="shop")
def shop_fixture(line):
    # No nightly comparison reads as well.
    line.settings["SINK_RECONCILE_AT"] = line.value(
        "SELECT to_char(now() AT TIME ZONE 'UTC' + interval '9 hours', 'HH24:MI')")
    return open_shop(line)


def lose(line, *tenants):
    """The ledger forgets what it claimed and sent of them, as a backup from before would."""
    line.sql("DELETE FROM usage_submissions WHERE tenant = ANY (%s)", list(tenants))
    line.sql("DELETE FROM usage_claims WHERE tenant = ANY (%s)", list(tenants))


def hold(line):
    line.sql("SELECT hold_sinks()")


def is_held(line):
    return line.value("SELECT value FROM ledger_state WHERE name = 'sink_hold'") > 0


def released(line):
    return {row.tenant for row in line.sql("SELECT tenant FROM restore_checks WHERE checked_at IS NOT NULL")}


def reads(line):
    """Customer -> how many summaries were read of it."""
    found = collections.Counter()
    for request in line.sandbox.requests(path=SUMMARIES, limit=100_000):
        if request["path"].endswith("/event_summaries"):
            found[urllib.parse.parse_qs(request["query"])["customer"][0]] += 1
    return found


def told(accept):
    """How far it is."""
    return [text for text in accept.log_tail(1000).splitlines() if " of 240 tenants compared with Stripe" in text]


def sums(line, metric):
    return {row["customer"]: int(row["value"]) for row in line.sandbox.totals() if row["event_name"] == metric}


def test_each_place_is_read_once_and_sinks_go_on_with_those_that_are_done(shop):
    line = shop
    add_tenants(line, *TENANTS)
    for metric, units in (("api_calls", 70), ("llm_tokens", 5)):
        count(line, metric, units, *TENANTS)
    once(line)
    lose(line, *LOST)
    hold(line)
    sink = line.start("sink", SINK_INTERVAL_S="1")
    sink.wait_log("held_back")
    count(line, "api_calls", 90, *TENANTS)
    accept = line.start("meterctl", args=["restore", "accept", "--yes"], SINK_RATE_PER_S="20")
    line.wait_for(lambda: len(released(line)) >= 20 and told(accept), 120, "some are done, and that is told")
    line.wait_for(lambda: sum(units == 90 for units in sums(line, "api_calls").values()) >= 10, 60,
                  "what was counted of them is sent")
    assert is_held(line) and accept.running and not sink.ready()
    done = released(line)
    assert 20 <= len(done) < len(TENANTS)
    assert " left" in told(accept)[-1]
    accept.kill9()
    customers = {line.tenants[tenant] for tenant in released(line)}
    before = sums(line, "api_calls")
    assert {customer for customer, units in before.items() if units == 90} <= customers
    first = reads(line)
    assert {first[customer] for customer in customers} == {first[line.tenants["t000"]]}

    again = line.meterctl("restore", "accept", "--yes", timeout=300)
    assert again.returncode == 0, again.stderr
    assert "accepted: sinks go on" in again.stdout and "240 of 240 tenants compared with Stripe" in again.stderr
    places = line.value("SELECT count(*) FROM usage_drift") // len(TENANTS)
    lost = {line.tenants[tenant] for tenant in LOST}
    assert places % len(METRICS) == 0 and places >= 2 * len(METRICS)
    found = reads(line)
    assert {found[customer] for customer in customers} == {places}, "who was done is not read again"
    repeated = {customer for customer, n in found.items() if n > places} - lost
    assert len(repeated) <= WORKERS, "those that were under way"
    assert sum(found.values()) <= places * (len(TENANTS) + WORKERS) + len(lost) * (places + 20)

    wanted = {line.tenants[tenant]: 90 for tenant in TENANTS}
    line.wait_for(lambda: sums(line, "api_calls") == wanted, 90, "all of it is sent, once")
    assert sums(line, "llm_tokens") == {customer: 5 for customer in wanted}
    line.wait_for(sink.ready, 30)
    assert not is_held(line) and line.value("SELECT count(*) FROM restore_checks") == 0
    assert line.value("SELECT value FROM ledger_state WHERE name = 'claim_era'") == 1


def test_a_tenant_that_stripe_does_not_tell_of_stays_held_alone(shop):
    line = shop
    add_tenants(line, "acme", "blue", "coral")
    count(line, "api_calls", 70, "acme", "blue", "coral")
    once(line)
    hold(line)
    count(line, "api_calls", 90, "acme", "blue", "coral")
    line.sql("SELECT request_sink(t, 'settle') FROM unnest(ARRAY['acme', 'blue', 'coral']) t")
    meter = next(m["id"] for m in line.sandbox.api("GET", "/v1/billing/meters").json["data"]
                 if m["event_name"] == "api_calls")
    # The first that is asked for is not told.
    line.sandbox.fault("status", path=f"{SUMMARIES}{meter}/event_summaries", status=404, times=1)
    done = line.meterctl("restore", "accept", "--yes")
    assert done.returncode == 3 and "sinks are still held for 1 of 3 tenants" in done.stderr
    assert is_held(line) and len(released(line)) == 2
    sink = line.start("sink", SINK_INTERVAL_S="86400")
    line.wait_for(lambda: sorted(sums(line, "api_calls").values()) == [70, 90, 90], 30, "two go on")
    line.wait_for(lambda: line.value("SELECT count(*) FROM sink_requests") == 1, 30, "what the third asks for stays")
    line.must("meterctl", "restore", "accept", "--yes")
    line.wait_for(lambda: sorted(sums(line, "api_calls").values()) == [90, 90, 90], 30, "and the third")
    assert sink.running


def test_more_that_is_lost_meanwhile_holds_all_of_them_again(shop):
    line = shop
    add_tenants(line, "acme", "blue")
    hold(line)
    line.sql("""INSERT INTO restore_checks (tenant, hold, owner, checked_at)
                SELECT t, 1, gen_random_uuid(), now() FROM unnest(ARRAY['acme', 'blue']) t""")
    hold(line)
    count(line, "api_calls", 70, "acme", "blue")
    assert line.run("meterline-sink", "--once").returncode == 1
    assert line.value("SELECT count(*) FROM usage_submissions") == 0
    line.must("meterctl", "restore", "accept", "--yes")
    once(line)
    assert total(line, "acme", "api_calls") == total(line, "blue", "api_calls") == 70


@pytest.mark.parametrize("finalized, fewer", [("2 days", True), ("0 days", False)])
def test_a_period_whose_invoice_was_final_in_the_backup_is_not_read(shop, finalized, fewer):
    line = shop
    add_tenants(line, "acme", "blue")
    subscribe(line, "acme", "now() - interval '1 month' - interval '3 days'")
    line.sql("""
        INSERT INTO invoices (stripe_invoice_id, tenant, stripe_customer_id, stripe_subscription_id, status, currency,
                              amount_due_minor, amount_paid_minor, period_start, period_end, finalized_at)
        SELECT 'in_1', tenant, stripe_customer_id, stripe_subscription_id, 'paid', 'usd', 0, 0, current_period_start,
               current_period_end, now() - %s::interval FROM subscriptions""", finalized)
    count(line, "api_calls", 70, "acme")
    once(line)
    line.sql("UPDATE usage_submissions SET created_at = created_at - interval '1 day'")
    hold(line)
    line.must("meterctl", "restore", "accept", "--yes")
    read = {row.period_start for row in line.sql("SELECT period_start FROM usage_drift WHERE tenant = 'acme'")}
    ended = line.value("SELECT minute_of(current_period_start) FROM subscriptions")
    assert (ended not in read) == fewer and len(read) >= 1
