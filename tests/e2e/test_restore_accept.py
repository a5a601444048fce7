"""`meterctl restore accept --yes` over many tenants: each place is read once, at the sink's rate; sinks go on tenant by
tenant; it tells how far it is; and killed, it goes on where it stopped."""

import collections
import json
import urllib.parse

import pytest

from line.paths import CATALOG
from support.lossy_servers import base_backup, held
from support.restores import accept_all, at_stripe, find_again, restored, restored_without_coral, use
from support.sink_shop import add_tenants, count, once, open_shop, subscribe, total, use_transport

pytestmark = pytest.mark.own_servers

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
    sink.wait_log("sinks_held")
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


# What the backup lacks: it may have been sent before the restore, and nobody has asked Stripe.

def unbilled(line):
    return {row.reason: int(row.n) for row in line.sql(
        "SELECT reason, sum(quantity) AS n FROM usage_unbilled GROUP BY reason")}


def an_hour_later(line):
    """Stripe's figures come late: before that, no sink asks for them by itself."""
    line.sql("UPDATE ledger_restores SET restored_at = restored_at - interval '1 hour'")


def assert_held_alone(line, units):
    """What was not compared is neither claimed nor sent, and that is told."""
    once(line)
    assert unbilled(line)["not_compared"] == units
    audit = line.audit()
    assert audit.attention == {"not_compared": str(units)}, audit.text
    assert "not_compared" in line.must("meterctl", "status").stdout
    asked = line.meterctl("restore", "accept")
    assert asked.returncode == 1 and "usage of 1 tenants was not compared" in asked.stderr


def assert_all_known(line):
    assert line.meterctl("restore", "accept").stdout == "sinks are not held\n"
    assert not line.audit().attention


def test_a_customer_that_the_backup_does_not_know_is_billed_once(shop):
    line = shop
    restored_without_coral(line)
    accept_all(line)
    find_again(line, "coral")
    use(line, 5, "acme")
    assert_held_alone(line, 100)
    assert at_stripe(line) == 115   # Who was compared goes on.
    assert "adopted" in accept_all(line)
    use(line, 30, "coral")
    once(line)
    assert total(line, "coral", "api_calls") == 130 and at_stripe(line) == 145
    assert_all_known(line)


def test_where_stripe_holds_nothing_a_sink_compares_a_new_customer_and_goes_on_by_itself(shop):
    line = shop
    add_tenants(line, "acme")
    use(line, 10, "acme")
    use(line, 100, "coral")
    backup = base_backup(line)
    once(line)
    restored(line, backup)
    accept_all(line)
    add_tenants(line, "coral")
    assert_held_alone(line, 100)
    sink = line.start_sink(SINK_INTERVAL_S=1)
    sink.wait_log("not_compared")
    assert line.value("SELECT count(*) FROM reconcile_runs WHERE tenant = 'coral'") == 0
    an_hour_later(line)
    line.wait_for(lambda: at_stripe(line) == 110, 60, "it was compared and sent")
    assert sink.logs("not_compared")[0]["tenants"] == "1"
    line.wait_for(lambda: sink.get("/readyz")[1] == "ready\n", 60, "nothing is held")
    assert_all_known(line)


def test_a_sink_tells_of_what_stripe_holds_of_a_new_customer_until_it_is_accepted(shop):
    line = shop
    use(line, 100, "coral")
    backup = base_backup(line)
    add_tenants(line, "coral")
    once(line)
    restored(line, backup)
    accept_all(line)   # Nobody is billed: Stripe is not asked.
    sink = line.start_sink(SINK_INTERVAL_S=1)
    find_again(line, "coral")
    an_hour_later(line)
    sink.wait_log("drift_found", timeout=60)
    line.wait_for(lambda: "not compared with Stripe since a restore" in str(sink.get("/readyz")), 30, "it is told")
    use(line, 7, "coral")
    assert sink.ready() and at_stripe(line) == 100
    accept_all(line)
    line.wait_for(lambda: at_stripe(line) == 107, 60, "it goes on")


def test_a_customer_that_comes_while_it_is_accepted(shop):
    line = shop
    restored_without_coral(line)
    # Of the first tenant an answer is late: meanwhile the second one comes.
    line.sandbox.fault("delay", path=SUMMARIES, delay_ms=3000, times=1)
    accept = line.start("meterctl", args=["restore", "accept", "--yes"])
    line.wait_for(lambda: line.value("SELECT count(*) FROM restore_checks") == 1, 30, "it has its list")
    find_again(line, "coral")
    line.wait_for(lambda: not accept.running, 60, "it is done")
    assert not held(line)
    assert_held_alone(line, 100)
    accept_all(line)
    once(line)
    assert at_stripe(line) == 110
    assert_all_known(line)


def test_a_customer_that_was_moved_after_the_backup(shop):
    line = shop
    add_tenants(line, "acme")
    use(line, 10, "acme")
    once(line)
    use(line, 30, "acme")
    backup = base_backup(line)
    first = line.tenants["acme"]
    second = line.sandbox.bootstrap(meters=[], tenants=["acme-2"])["tenants"]["acme-2"]["customer"]
    move = "UPDATE billing_customers SET stripe_customer_id = %s WHERE tenant = 'acme'"
    line.sql(move, second)
    once(line)
    assert line.sandbox.total(second, "api_calls") == 30
    restored(line, backup)
    accept_all(line)
    line.sql(move, second)
    assert_held_alone(line, 30)
    accept_all(line)
    use(line, 2, "acme")
    once(line)
    assert line.sandbox.total(first, "api_calls") == 10 and line.sandbox.total(second, "api_calls") == 32
    assert_all_known(line)


def test_a_ledger_without_customers_that_adopts_a_stream(shop):
    line = shop
    line.sql("CREATE DATABASE other")
    other = {"DATABASE_URL": line.postgres.url_of("postgres", "other")}
    line.must("meterctl", "migrate", **other)
    line.must("meterctl", "catalog", "apply", CATALOG, **other)
    use(line, 100, "coral")
    add_tenants(line, "coral")
    once(line)
    assert at_stripe(line) == 100
    line.must("meterctl", "stream", "adopt", "--yes", **other)
    line.xadd(tenant="coral", metric="api_calls", id="again", quantity=100)
    line.must("aggregator", "--once", **other)
    line.must("meterctl", "restore", "accept", "--yes", **other)   # Nobody is billed: Stripe is not asked.
    with line.postgres.connect(other["DATABASE_URL"]) as conn, conn.cursor() as cursor:
        cursor.execute("INSERT INTO billing_customers (tenant, stripe_customer_id) VALUES ('coral', %s)",
                       (line.tenants["coral"],))
        conn.commit()
    once(line, **other)
    assert at_stripe(line) == 100
    assert "adopted" in line.must("meterctl", "restore", "accept", "--yes", **other).stdout
    line.xadd(tenant="coral", metric="api_calls", id="more", quantity=3)
    line.must("aggregator", "--once", **other)
    once(line, **other)
    assert at_stripe(line) == 103


def test_a_metric_that_was_not_billed_in_the_backup(shop):
    line = shop
    add_tenants(line, "acme")
    use_transport(line, "none", "api_calls")
    use(line, 100, "acme")
    use(line, 4, "acme", metric="llm_tokens")
    once(line)
    backup = base_backup(line)
    line.catalog()
    once(line)
    assert total(line, "acme", "api_calls") == 100
    restored(line, backup)
    accept_all(line)
    line.catalog()
    assert_held_alone(line, 100)
    accept_all(line)
    use(line, 3, "acme")
    once(line)
    assert total(line, "acme", "api_calls") == 103 and total(line, "acme", "llm_tokens") == 4
    assert_all_known(line)


def change_catalog(line, change):
    catalog = json.loads(CATALOG.read_text(encoding="utf-8"))
    change(catalog["metrics"])
    path = line.folder / "changed.json"
    path.write_text(json.dumps(catalog), encoding="utf-8")
    line.catalog(path)


def rename(metrics):
    next(m for m in metrics if m["metric"] == "api_calls")["stripe_event_name"] = "calls_2"


@pytest.mark.parametrize("between", [False, True])
def test_an_event_name_that_was_changed_after_the_backup(shop, between):
    line = shop
    add_tenants(line, "acme")
    line.sandbox.bootstrap(meters=[{"event_name": "calls_2", "formula": "sum"}], tenants=[])
    use(line, 10, "acme")
    once(line)
    use(line, 30, "acme")
    backup = base_backup(line)
    change_catalog(line, rename)
    once(line)
    assert total(line, "acme", "calls_2") == 30
    restored(line, backup)
    accept_all(line)
    if between:
        once(line)   # By the backup's catalog they go to the meter of before, and are taken back.
        assert total(line, "acme", "api_calls") == 40
    change_catalog(line, rename)
    use(line, 5, "acme")
    assert_held_alone(line, 5 if between else 35)
    accept_all(line)
    once(line)
    assert at_stripe(line) == 45
    assert_all_known(line)


def test_a_metric_that_is_new_and_whose_rejected_entries_were_replayed(shop):
    line = shop
    add_tenants(line, "acme")
    line.sandbox.bootstrap(meters=[{"event_name": "pages", "formula": "sum"}], tenants=[])
    use(line, 10, "acme")
    use(line, 60, "acme", metric="pages")
    once(line)
    backup = base_backup(line)

    def replay():
        change_catalog(line, lambda metrics: metrics.append(
            {"metric": "pages", "name": "Pages", "unit": "page", "aggregation": "sum", "stripe_event_name": "pages"}))
        line.must("meterctl", "rejected", "replay", "--all", "--yes")
        line.must("aggregator", "--once")
    replay()
    once(line)
    assert total(line, "acme", "pages") == 60
    restored(line, backup)
    line.must("aggregator", "--once")   # The entries that were replayed are gone.
    accept_all(line)
    replay()
    assert_held_alone(line, 60)
    accept_all(line)
    once(line)
    assert total(line, "acme", "pages") == 60 and total(line, "acme", "api_calls") == 10
    assert_all_known(line)
