"""Ours and Stripe's books beside each other: any drift is found and explained, what is in doubt is
resolved, and a restored ledger learns what Stripe holds before anything more is billed."""

import json
import re

import pytest

import support.sink
from line import logfmt
from line.paths import ROOT
from support.sink import EVENTS, accept, age_sent, count, hold, once, reconcile, states, total

SUMMARIES = "/v1/billing/meters/"


def add_tenants(line, *tenants):
    """Subscribed 20 days ago, so that no test meets the end of a period."""
    support.sink.add_tenants(line, *tenants)
    for tenant in tenants:
        support.sink.subscribe(line, tenant, "now() - interval '20 days'", name=f"sub_{tenant}")


def counts(done):
    (last,) = [text for text in done.stdout.splitlines() if text.startswith("reconcile ")]
    return {name: int(value) for name, value in logfmt.pairs(last).items()}


def findings(line, *args, exit_code=1):
    return json.loads(reconcile(line, "--json", *args, exit_code=exit_code).stdout)


def add_elsewhere(line, tenant, event_name, value, minutes_ago=90):
    """An event that somebody else made in the same account: its minute."""
    at = int(line.value("SELECT extract(epoch FROM minute_of(now()))::bigint")) - minutes_ago * 60
    answer = line.sandbox.api("POST", EVENTS, {
        "event_name": event_name, "timestamp": at + 7,
        "payload": {"stripe_customer_id": line.tenants[tenant], "value": str(value)}})
    assert answer.status == 200
    return line.value("SELECT to_char(to_timestamp(%s) AT TIME ZONE 'UTC', "
                      "'YYYY-MM-DD\"T\"HH24:MI\"Z\"')", at)


def lose(line, identifier):
    """Stripe took it back after its receipt."""
    event_name = line.value("SELECT event_name FROM usage_submissions WHERE identifier = %s",
                            identifier)
    answer = line.sandbox.api("POST", "/v1/billing/meter_event_adjustments", {
        "event_name": event_name, "type": "cancel", "cancel": {"identifier": identifier}})
    assert answer.status == 200


def send(line, tenant, metric, *quantities):
    for quantity in quantities:
        count(line, tenant, metric, quantity)
        once(line)
    age_sent(line)


def test_books_that_agree(shop):
    add_tenants(shop, "acme", "other")
    send(shop, "acme", "api_calls", "100", "250.5", "240")
    send(shop, "acme", "user_seats", "7", "9", "8")
    send(shop, "other", "llm_tokens", "5")
    done = reconcile(shop)
    assert counts(done) == {"compared": 3, "drifted": 0, "unread": 0}
    rows = shop.sql("SELECT metric, sent_quantity, stripe_quantity, drift_units FROM usage_drift "
                    "ORDER BY tenant, metric")
    assert [(r.metric, int(r.sent_quantity), int(r.stripe_quantity), r.drift_units) for r in rows] == [
        ("api_calls", 240, 240, 0), ("user_seats", 8, 8, 0), ("llm_tokens", 5, 5, 0)]
    run = shop.sql("SELECT * FROM reconcile_runs")[0]
    assert (run.reason, run.compared, run.drifted, run.unread) == ("operator", 3, 0, 0)
    assert run.finished_at


def test_what_somebody_else_sent_is_found_and_its_minute_named(shop):
    add_tenants(shop, "acme")
    send(shop, "acme", "api_calls", "100", "250")
    minute = add_elsewhere(shop, "acme", "api_calls", 13, minutes_ago=24 * 60 + 33)
    found = findings(shop)
    (drift,) = found["drift"]
    assert (drift["customer"], drift["metric"]) == (shop.tenants["acme"], "api_calls")
    assert (drift["sent"], drift["stripe"], drift["drift"]) == ("250", "263", "13")
    (odd,) = found["minutes"]
    assert (odd["minute"], odd["stripe"], odd["sent"]) == (minute, "13", "0")
    assert "identifier" not in odd
    table = reconcile(shop, exit_code=1).stdout
    assert minute in table and "reconcile compared=1 drifted=1 unread=0" in table


def test_what_stripe_lost_is_found_with_its_identifier_and_request(shop):
    add_tenants(shop, "acme")
    send(shop, "acme", "llm_tokens", "5", "11", "20")
    lost = shop.sql("SELECT identifier, request_id FROM usage_submissions WHERE quantity = 6")[0]
    lose(shop, lost.identifier)
    found = findings(shop)
    assert found["drift"][0]["drift"] == "-6"
    (odd,) = found["minutes"]
    assert (odd["identifier"], odd["request_id"]) == (lost.identifier, lost.request_id)
    assert (odd["state"], odd["quantity"], odd["sent"], odd["stripe"]) == ("sent", "6", "6", "0")


def test_what_was_sent_a_moment_ago_excuses_a_drift(shop):
    """Stripe's summaries come late."""
    add_tenants(shop, "acme")
    count(shop, "acme", "llm_tokens", "5")
    once(shop)
    lose(shop, shop.value("SELECT identifier FROM usage_submissions"))
    assert counts(reconcile(shop))["drifted"] == 0
    assert shop.value("SELECT open_quantity FROM usage_drift") == 5
    add_elsewhere(shop, "acme", "llm_tokens", 6)
    assert findings(shop)["drift"][0]["drift"] == "1"


def test_a_newest_value_that_somebody_else_set(shop):
    add_tenants(shop, "acme")
    send(shop, "acme", "user_seats", "7", "9")
    add_elsewhere(shop, "acme", "user_seats", 3, minutes_ago=600)
    assert counts(reconcile(shop))["drifted"] == 0  # An older value counts for nothing.
    minute = add_elsewhere(shop, "acme", "user_seats", 4, minutes_ago=-4)
    found = findings(shop)
    assert found["drift"][0]["drift"] == "-5"
    assert minute in [odd["minute"] for odd in found["minutes"]]


def test_everything_is_paged(shop):
    """More meters than a page of Stripe's has, and usage in more hours than one has."""
    shop.sandbox.bootstrap(meters=[{"event_name": f"m{n}"} for n in range(150)])
    add_tenants(shop, "acme")
    send(shop, "acme", "api_calls", "100")
    for hours in range(1, 121):
        add_elsewhere(shop, "acme", "api_calls", 2, minutes_ago=hours * 60 + 11)
    found = findings(shop)
    assert found["drift"][0]["drift"] == "240"
    assert len(found["minutes"]) == 100  # At most so many are named.
    paged = {r["path"] for r in shop.sandbox.requests(path="/v1/billing/meters")
             if "starting_after" in r["query"]}
    assert len(paged) == 2  # The meters, and the summaries of one of them.


def test_tenant_and_period_restrict(shop):
    add_tenants(shop, "acme", "other")
    send(shop, "acme", "api_calls", "100")
    send(shop, "other", "api_calls", "100")
    count(shop, "acme", "api_calls", "7", at="now() - interval '33 days'")
    add_elsewhere(shop, "other", "api_calls", 1)
    assert counts(reconcile(shop, "--tenant", "acme"))["compared"] == 2
    assert counts(reconcile(shop, "--tenant", "acme", "--period", "current"))["compared"] == 1
    assert counts(reconcile(shop, "--tenant", "acme", "--period", "33d"))["compared"] == 1
    add_tenants(shop, "new")
    assert counts(reconcile(shop, "--tenant", "new"))["compared"] == 0
    assert counts(reconcile(shop, "--period", "current", exit_code=1)) == {
        "compared": 2, "drifted": 1, "unread": 0}
    assert reconcile(shop, "--period", "yesteryear", exit_code=2)


def test_a_tenant_that_changed_its_customer_is_compared_for_both(shop):
    add_tenants(shop, "acme", "other")
    send(shop, "acme", "api_calls", "100")
    shop.sql("DELETE FROM billing_customers WHERE tenant = 'other'")
    shop.sql("UPDATE billing_customers SET stripe_customer_id = %s", shop.tenants["other"])
    send(shop, "acme", "api_calls", "130")
    assert counts(reconcile(shop))["compared"] == 2
    add_elsewhere(shop, "acme", "api_calls", 1)
    assert findings(shop)["drift"][0]["customer"] == shop.tenants["acme"]


def test_stripe_away_or_unwilling_could_not_be_checked(shop):
    add_tenants(shop, "acme")
    send(shop, "acme", "api_calls", "100")
    away = reconcile(shop, STRIPE_API_BASE="http://127.0.0.1:1", exit_code=3)
    assert "could not be checked" in away.stderr
    fault = {"path": SUMMARIES, "status": 401}
    shop.sandbox.fault("status", **fault)
    assert "401" in reconcile(shop, exit_code=3).stderr
    shop.sandbox.clear_faults()
    shop.sandbox.fault("status", path=SUMMARIES, status=404)
    done = reconcile(shop, exit_code=3)
    assert counts(done)["unread"] == 1 and "404" in done.stderr
    assert re.search(r"period \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ: ", done.stderr), done.stderr
    shop.sandbox.clear_faults()
    shop.sandbox.fault("status", path=SUMMARIES, status=503, times=2)
    assert counts(reconcile(shop))["compared"] == 1
    assert reconcile(shop, exit_code=2, STRIPE_SECRET_KEY=None).stderr.count("STRIPE_SECRET_KEY") == 1
    assert "STRIPE_LIVE" in reconcile(shop, exit_code=2, STRIPE_SECRET_KEY="sk_live_x").stderr
    assert not [r for r in shop.sandbox.requests() if "sk_live" in str(r)]


def test_a_meter_that_counts_otherwise_than_we_bill_is_said(line):
    line.start_sandbox(rate_per_s=0)
    line.tenants = {}
    line.sandbox.bootstrap(meters=[{"event_name": "api_calls", "formula": "count"}])
    add_tenants(line, "acme")
    count(line, "acme", "api_calls", "100")
    assert line.run("meterline-sink", "--once").returncode == 1  # It holds the metric.
    assert "formula count" in reconcile(line, exit_code=3).stderr


@pytest.mark.parametrize("figure, exit_code", [("100.0", 0), ("9007199254740993.0", 1), ("1e2", 3), ("null", 3)])
def test_figures_are_read_exactly(shop, figure, exit_code):
    """Stripe may write whole numbers with a point; none may pass through a float."""
    add_tenants(shop, "acme")
    send(shop, "acme", "api_calls", "100")
    meter = next(m["id"] for m in shop.sandbox.api("GET", "/v1/billing/meters").json["data"]
                 if m["event_name"] == "api_calls")
    shop.sandbox.fault("status", path=f"/v1/billing/meters/{meter}/event_summaries", status=200, body=(
        '{"object": "list", "has_more": false, "data": [{"id": "mtrusg_1", "start_time": 0, '
        '"aggregated_value": %s}]}' % figure))
    reconcile(shop, exit_code=exit_code)
    if exit_code == 1:
        assert shop.value("SELECT stripe_quantity FROM usage_drift") == 9007199254740993


# In doubt.

def doubt(line, hours):
    """All that was sent is in doubt, last tried so many hours ago."""
    line.sql("""UPDATE usage_submissions SET state = 'in_doubt', sent_at = NULL,
                first_sent_at = now() - %s * interval '1 hour', last_sent_at = now() - %s * interval '1 hour'""",
             hours, hours)


def an_hour_passes(line):
    line.sql("""UPDATE usage_submissions SET doubt_read_at = doubt_read_at - interval '61 minutes',
                last_sent_at = last_sent_at - interval '61 minutes'""")


def is_not_retried(line):
    """What Stripe holds, or may hold, a person does not bill again by giving back all that failed."""
    before = states(line)
    line.must("meterctl", "submissions", "retry", "--state", "failed", "--yes")
    assert states(line) == before


@pytest.mark.parametrize("there, end", [("ours", "sent"), ("nothing", "void"), ("something", "failed"),
                                        ("ours at first", "failed"), ("ours at last", "failed")])
def test_in_doubt_is_resolved_by_two_readings(shop, there, end):
    add_tenants(shop, "acme")
    count(shop, "acme", "api_calls", "8")
    once(shop)
    doubt(shop, 1)
    reconcile(shop)
    assert shop.value("SELECT doubt_read_at FROM usage_submissions") is None  # Too early.
    doubt(shop, 3)
    one = shop.sql("SELECT identifier, extract(epoch FROM usage_at)::bigint AS at FROM usage_submissions")[0]
    if there in ("nothing", "ours at last"):
        lose(shop, one.identifier)
    if there == "something":
        shop.sandbox.api("POST", EVENTS, {"event_name": "api_calls", "timestamp": one.at + 1, "payload": {
            "stripe_customer_id": shop.tenants["acme"], "value": "3"}})
    settings = {"exit_code": 1 if there == "something" else 0}
    reconcile(shop, **settings)
    assert states(shop) == {"in_doubt": 1}
    assert shop.value("SELECT doubt_read_at FROM usage_submissions")
    reconcile(shop, **settings)
    assert states(shop) == {"in_doubt": 1}  # Not an hour later.
    an_hour_passes(shop)
    if there == "ours at first":
        lose(shop, one.identifier)
    if there == "ours at last":
        shop.sandbox.api("POST", EVENTS, {"event_name": "api_calls", "timestamp": one.at, "payload": {
            "stripe_customer_id": shop.tenants["acme"], "value": "8"}})
    done = reconcile(shop, **settings)
    assert states(shop) == {end: 1} and one.identifier in done.stderr
    if end == "failed":
        assert "Stripe holds" in shop.value("SELECT last_error FROM usage_submissions")
        is_not_retried(shop)
    if end == "void":
        once(shop)
        assert states(shop) == {"void": 1, "sent": 1} and total(shop, "acme", "api_calls") == 8
    else:
        once(shop)
        assert states(shop) == {end: 1}


def forget_claims(line):
    """A standby took over that lacks the last claims: these are made once more, in another minute."""
    line.sql("DELETE FROM usage_submissions")
    line.sql("UPDATE usage_claims SET claims = 0, claimed = 0, version = 0")


def test_what_a_lost_life_sent_in_another_minute_is_not_billed_again(shop):
    add_tenants(shop, "acme")
    send(shop, "acme", "api_calls", "8")
    forget_claims(shop)
    once(shop)
    assert states(shop) == {"in_doubt": 1} and total(shop, "acme", "api_calls") == 8
    doubt(shop, 3)
    reconcile(shop)
    an_hour_passes(shop)
    reconcile(shop)
    assert "knew it before" in shop.value("SELECT last_error FROM usage_submissions")
    is_not_retried(shop)
    once(shop)
    assert states(shop) == {"failed": 1} and total(shop, "acme", "api_calls") == 8


def test_what_a_lost_life_sent_is_adopted_and_what_was_in_doubt_for_it_is_void(shop):
    """Stripe refused it, so none of it is there: it is not waited for, and nothing is taken back meanwhile."""
    add_tenants(shop, "acme")
    send(shop, "acme", "api_calls", "8")
    forget_claims(shop)
    once(shop)
    assert states(shop) == {"in_doubt": 1}
    hold(shop)
    assert "adopted" in accept(shop)
    for _ in range(2):
        assert states(shop) == {"sent": 1, "void": 1} and total(shop, "acme", "api_calls") == 8
        once(shop)


def test_a_reading_from_before_another_try_does_not_count(shop):
    add_tenants(shop, "acme")
    count(shop, "acme", "api_calls", "8")
    once(shop)
    doubt(shop, 3)
    reconcile(shop)
    an_hour_passes(shop)
    shop.sql("UPDATE usage_submissions SET last_sent_at = doubt_read_at + interval '1 minute', "
             "doubt_read_at = doubt_read_at - interval '2 hours'")
    shop.sql("UPDATE usage_submissions SET last_sent_at = now() - interval '121 minutes'")
    reconcile(shop)
    assert states(shop) == {"in_doubt": 1}


def test_nothing_in_doubt_is_resolved_while_sinks_are_held(shop):
    add_tenants(shop, "acme")
    count(shop, "acme", "api_calls", "8")
    once(shop)
    doubt(shop, 3)
    shop.sql("UPDATE ledger_state SET value = 1 WHERE name = 'sink_hold'")
    reconcile(shop)
    assert shop.value("SELECT doubt_read_at FROM usage_submissions") is None


def test_the_sink_resolves_what_is_in_doubt_on_its_own(shop):
    add_tenants(shop, "acme")
    count(shop, "acme", "api_calls", "8")
    once(shop)
    doubt(shop, 3)
    sink = shop.start_sink(SINK_INTERVAL_S=3600)
    shop.wait_for(lambda: shop.value("SELECT doubt_read_at FROM usage_submissions"))
    sink.term()
    an_hour_passes(shop)
    sink = shop.start_sink(SINK_INTERVAL_S=3600)
    told = sink.wait_log("doubt_settled")
    assert told["state"] == "sent" and states(shop) == {"sent": 1}
    sink.term()


# The sink on its own.

def test_the_nightly_run_is_made_once_by_one_of_the_sinks(shop):
    add_tenants(shop, "acme")
    send(shop, "acme", "api_calls", "100")
    add_elsewhere(shop, "acme", "api_calls", 13)
    at = shop.value("SELECT to_char(now() AT TIME ZONE 'UTC', 'HH24:MI')")
    sinks = [shop.start_sink(SINK_INTERVAL_S=3600, SINK_RECONCILE_AT=at) for _ in range(3)]
    for sink in sinks:
        shop.wait_for(lambda: sink.metric("meterline_stripe_drift_units") == 13)
    done = [told for sink in sinks for told in sink.logs("reconcile_done")]
    assert [(t["reason"], t["compared"], t["drifted"]) for t in done] == [("nightly", "1", "1")]
    (found,) = [told for sink in sinks for told in sink.logs("drift_found")]
    assert (found["customer"], found["metric"], found["drift"]) == (
        shop.tenants["acme"], "api_calls", "13")
    assert shop.value("SELECT count(*) FROM reconcile_runs") == 1
    for sink in sinks:
        sink.term()


def test_a_nightly_run_that_was_cut_off_is_made_again(shop):
    add_tenants(shop, "acme")
    send(shop, "acme", "api_calls", "100")
    at = shop.value("SELECT to_char(now() AT TIME ZONE 'UTC', 'HH24:MI')")
    shop.sandbox.fault("hang", path=SUMMARIES, times=1)
    first = shop.start_sink(SINK_INTERVAL_S=3600, SINK_RECONCILE_AT=at)
    shop.wait_for(lambda: shop.sandbox.requests(path=SUMMARIES) or shop.sandbox.faults()[0]["fired"])
    first.kill9()
    shop.sql("UPDATE reconcile_runs SET beat_at = now() - interval '11 minutes'")
    second = shop.start_sink(SINK_INTERVAL_S=3600, SINK_RECONCILE_AT=at)
    second.wait_log("reconcile_done")
    assert shop.value("SELECT count(*) FROM reconcile_runs WHERE finished_at IS NOT NULL") == 1
    second.term()


def test_a_request_is_done_and_forgotten(shop):
    add_tenants(shop, "acme", "other")
    send(shop, "acme", "api_calls", "100")
    send(shop, "other", "api_calls", "100")
    sink = shop.start_sink(SINK_INTERVAL_S=3600).wait_ready()
    shop.sql("SELECT request_sink('acme', 'reconcile')")
    told = sink.wait_log("reconcile_done")
    assert (told["reason"], told["tenant"], told["compared"]) == ("asked", "acme", "1")
    shop.wait_for(lambda: shop.value("SELECT count(*) FROM sink_requests") == 0)
    assert sink.metric("meterline_stripe_drift_units") == 0
    sink.term()


def test_stripe_away_while_comparing_is_a_state(shop):
    add_tenants(shop, "acme")
    send(shop, "acme", "api_calls", "100")
    shop.sandbox.fault("status", path="/v1/billing/meters", status=500)
    sink = shop.start_sink(SINK_INTERVAL_S=1).wait_ready()
    shop.sql("SELECT request_sink('acme', 'reconcile')")
    sink.wait_log("reconcile_delayed")
    assert shop.value("SELECT count(*) FROM sink_requests") == 1 and sink.ready()
    count(shop, "acme", "api_calls", "150")
    shop.wait_for(lambda: total(shop, "acme", "api_calls") == 150)  # Sending goes on.
    sink.term()


def test_a_sink_ends_in_the_middle_of_a_comparison(shop):
    add_tenants(shop, "acme")
    send(shop, "acme", "api_calls", "100")
    shop.sandbox.fault("hang", path="/v1/billing/meters")
    sink = shop.start_sink(SINK_INTERVAL_S=3600).wait_ready()
    shop.sql("SELECT request_sink('acme', 'reconcile')")
    shop.wait_for(lambda: shop.sandbox.faults()[0]["fired"])
    sink.term()


# Usage records.

LEGACY = "2024-06-20"


@pytest.fixture
def legacy(shop):  # noqa: F811
    """acme's api_calls are billed by a legacy metered price: what the catalog and webhookd hold."""
    box = shop.sandbox
    def made(path, **params):
        answer = box.api("POST", path, params, version=LEGACY)
        assert answer.status == 200, answer.json
        return answer.json
    customer = made("/v1/customers", metadata={"tenant": "acme"})["id"]
    product = made("/v1/products", name="calls")["id"]
    price = made("/v1/prices", currency="usd", unit_amount=1, product=product,
                 recurring={"interval": "month", "usage_type": "metered"})["id"]
    start = int(shop.value("SELECT extract(epoch FROM now())::bigint")) - 5 * 86400
    sub = made("/v1/subscriptions", customer=customer, items=[{"price": price}],
               backdate_start_date=start)
    shop.item = sub["items"]["data"][0]["id"]
    shop.tenants["acme"] = customer
    shop.sql("UPDATE metrics SET transport = 'usage_records' WHERE metric = 'api_calls'")
    shop.sql("INSERT INTO billing_customers (tenant, stripe_customer_id) VALUES ('acme', %s)", customer)
    shop.sql("""INSERT INTO subscriptions (stripe_subscription_id, tenant, stripe_customer_id, status,
                    current_period_start, current_period_end, billing_cycle_anchor, started_at)
                VALUES (%s, 'acme', %s, 'active', to_timestamp(%s), to_timestamp(%s), to_timestamp(%s),
                        to_timestamp(%s))""", sub["id"], customer, sub["current_period_start"],
             sub["current_period_end"], sub["billing_cycle_anchor"], start)
    shop.sql("""INSERT INTO subscription_items (stripe_subscription_item_id, stripe_subscription_id, tenant,
                    metric, stripe_price_id) VALUES (%s, %s, 'acme', 'api_calls', %s)""",
             shop.item, sub["id"], price)
    shop.sql("SELECT refresh_billing_periods('acme')")
    return shop


def record(line, quantity, state, minutes_ago, ours=True):
    """One usage record: at Stripe, and, if it is ours, as a submission in that state."""
    at = int(line.value("SELECT extract(epoch FROM minute_of(now()))::bigint")) - minutes_ago * 60
    if state != "missing":
        path = f"/v1/subscription_items/{line.item}/usage_records"
        assert line.sandbox.api("POST", path, {"quantity": quantity, "timestamp": at,
                                               "action": "increment"}, version=LEGACY).status == 200
    if ours:
        line.sql("""INSERT INTO usage_submissions (identifier, tenant, metric, transport, stripe_customer_id,
                        event_name, stripe_subscription_item_id, period_start, claim, usage_at, quantity, body,
                        state, first_sent_at, last_sent_at, sent_at)
                    SELECT 'ml-' || %s, 'acme', 'api_calls', 'usage_records', %s, 'api_calls', %s, p.period_start,
                           %s, to_timestamp(%s), %s, '', %s, now() - interval '3 hours',
                           now() - interval '3 hours', CASE WHEN %s = 'sent' THEN now() - interval '3 hours' END
                      FROM billing_period('acme', now()) p""",
                 minutes_ago, line.tenants["acme"], line.item, minutes_ago, at, quantity,
                 "in_doubt" if state == "missing" else state, state)


def test_usage_records_are_compared_by_item(legacy):
    count(legacy, "acme", "api_calls", "30")
    record(legacy, 10, "sent", 9)
    record(legacy, 20, "sent", 5)
    assert counts(reconcile(legacy)) == {"compared": 1, "drifted": 0, "unread": 0}
    record(legacy, 7, "", 3, ours=False)
    found = findings(legacy)
    assert (found["drift"][0]["drift"], found["drift"][0]["stripe"]) == ("7", "37")
    assert {odd["identifier"] for odd in found["minutes"]} == {"ml-9", "ml-5"}
    assert legacy.value("SELECT event_name FROM usage_drift") == legacy.item
    versions = {r["headers"].get("stripe-version") for r in legacy.sandbox.requests(
        path="/v1/subscription_items/") if r["method"] == "GET"}
    assert versions == {LEGACY}


def test_usage_records_that_the_sink_sent(legacy):
    send(legacy, "acme", "api_calls", "30", "42")
    assert counts(reconcile(legacy)) == {"compared": 1, "drifted": 0, "unread": 0}
    assert legacy.value("SELECT stripe_quantity FROM usage_drift") == 42
    doubt(legacy, 3)
    reconcile(legacy)
    an_hour_passes(legacy)
    reconcile(legacy)
    assert states(legacy) == {"sent": 2}


@pytest.mark.parametrize("doubtful, end", [
    (["in_doubt"], {"sent": 2}), (["missing"], {"sent": 1, "void": 1}),
    (["in_doubt", "in_doubt"], {"sent": 3}), (["missing", "missing"], {"sent": 1, "void": 2}),
    (["in_doubt", "missing"], {"sent": 1, "failed": 2})], ids=lambda v: "-".join(v))
def test_usage_records_in_doubt_are_resolved_by_the_items_total(legacy, doubtful, end):
    record(legacy, 10, "sent", 30)
    for n, state in enumerate(doubtful):
        record(legacy, 5 + n, state, 20 - n)
    exit_code = 0
    reconcile(legacy, exit_code=exit_code)
    an_hour_passes(legacy)
    reconcile(legacy, exit_code=exit_code)
    assert states(legacy) == end
    is_not_retried(legacy)


# After a restore.


def lose_after(line, claim):
    """The ledger forgets the claims after this one, as a backup from before them would."""
    line.sql("DELETE FROM usage_submissions WHERE claim > %s", claim)
    line.sql("""UPDATE usage_claims c SET claims = s.claims, claimed = s.claimed, version = 0
                  FROM (SELECT tenant, metric, period_start, max(claim) AS claims, sum(quantity) AS claimed
                          FROM usage_submissions GROUP BY 1, 2, 3) s
                 WHERE (c.tenant, c.metric, c.period_start) = (s.tenant, s.metric, s.period_start)""")
    line.sql("DELETE FROM usage_claims WHERE (tenant, metric, period_start) NOT IN "
             "(SELECT tenant, metric, period_start FROM usage_submissions)")


def test_a_restored_ledger_learns_what_stripe_holds_and_bills_nothing_twice(shop):
    add_tenants(shop, "acme", "other")
    send(shop, "acme", "api_calls", "100", "250", "240", "300")
    send(shop, "acme", "user_seats", "7", "9", "8")
    send(shop, "other", "llm_tokens", "5")
    lose_after(shop, 1)
    shop.sql("DELETE FROM usage_submissions WHERE tenant = 'other'")
    shop.sql("DELETE FROM usage_claims WHERE tenant = 'other'")
    hold(shop)
    told = accept(shop)
    adopted = [logfmt.pairs(text) for text in told.splitlines() if text.startswith("adopted ")]
    assert sorted((a["metric"], a["quantity"]) for a in adopted) == [
        ("api_calls", "-10"), ("api_calls", "150"), ("api_calls", "60"), ("llm_tokens", "5"),
        ("user_seats", "8")]
    assert "accepted: sinks go on" in told
    assert shop.value("SELECT value FROM ledger_state WHERE name = 'claim_era'") == 1
    once(shop)
    assert total(shop, "acme", "api_calls") == 300 and total(shop, "other", "llm_tokens") == 5
    assert total(shop, "acme", "user_seats") == 8
    count(shop, "acme", "api_calls", "310")
    count(shop, "acme", "user_seats", "12")
    once(shop)
    assert total(shop, "acme", "api_calls") == 310 and total(shop, "acme", "user_seats") == 12
    age_sent(shop)
    assert counts(reconcile(shop))["drifted"] == 0
    assert states(shop).keys() == {"sent"}
    minutes = shop.sql("SELECT stripe_customer_id, event_name, usage_at FROM usage_submissions")
    assert len(set(minutes)) == len(minutes)


def test_all_submissions_were_lost_and_the_totals_too(shop):
    """What is counted no more is taken back from Stripe: the books end equal."""
    add_tenants(shop, "acme")
    send(shop, "acme", "api_calls", "100", "130")
    shop.sql("TRUNCATE usage_submissions, usage_claims, usage_totals")
    count(shop, "acme", "llm_tokens", "3")
    hold(shop)
    accept(shop)
    once(shop)
    assert total(shop, "acme", "api_calls") == 0 and total(shop, "acme", "llm_tokens") == 3


def test_what_the_ledger_takes_for_unsent_is_looked_for_at_stripe(shop):
    add_tenants(shop, "acme", "there", "other")
    for tenant in ("acme", "there", "other"):
        send(shop, tenant, "api_calls", "8")
    lose(shop, shop.value("SELECT identifier FROM usage_submissions WHERE tenant = 'acme'"))
    at = shop.value("SELECT extract(epoch FROM usage_at)::bigint FROM usage_submissions "
                    "WHERE tenant = 'other'")
    shop.sandbox.api("POST", EVENTS, {"event_name": "api_calls", "timestamp": at + 1, "payload": {
        "stripe_customer_id": shop.tenants["other"], "value": "3"}})
    shop.sql("UPDATE usage_submissions SET state = 'sending', owner = 'gone', lease_until = now()")
    hold(shop)
    told = accept(shop)
    assert "open sent=1 waiting=1 failed=1" in told
    rows = {(r.tenant, r.identifier[:9] == "ml-found-"): (r.state, int(r.quantity))
            for r in shop.sql("SELECT * FROM usage_submissions")}
    assert rows == {("acme", False): ("pending", 8), ("there", False): ("sent", 8),
                    ("other", False): ("failed", 8), ("other", True): ("sent", 11)}
    # All that Stripe holds is adopted: what failed for it may be claimed anew.
    assert shop.value("SELECT doubt_quantity FROM usage_submissions WHERE state = 'failed'") is None


@pytest.mark.parametrize("hours, end", [(0, "in_doubt"), (3, "failed")])
def test_a_sent_one_that_stripe_lacks_is_in_doubt_and_later_waits_for_a_person(shop, hours, end):
    """A standby that took over minutes ago asks sooner than Stripe's summaries tell."""
    add_tenants(shop, "acme")
    send(shop, "acme", "api_calls", "8", "20")
    shop.sql("UPDATE usage_submissions SET sent_at = sent_at - %s * interval '1 hour'", hours)
    lost = shop.value("SELECT identifier FROM usage_submissions WHERE quantity = 8")
    lose(shop, lost)
    hold(shop)
    assert f"missing identifier={lost}" in accept(shop)
    once(shop)
    assert states(shop) == {end: 1, "sent": 1} and total(shop, "acme", "api_calls") == 12


def test_usage_records_are_adopted_by_their_total(legacy):
    count(legacy, "acme", "api_calls", "30")
    record(legacy, 10, "sent", 9)
    record(legacy, 20, "", 5, ours=False)
    hold(legacy)
    accept(legacy)
    found = legacy.sql("SELECT * FROM usage_submissions WHERE identifier LIKE 'ml-found-%%'")
    assert [(int(r.quantity), r.transport, r.stripe_subscription_item_id) for r in found] == [
        (20, "usage_records", legacy.item)]
    assert legacy.value("SELECT claimed FROM usage_claims") == 30
    count(legacy, "acme", "api_calls", "35")
    once(legacy)
    (records,) = legacy.sandbox.control("GET", "/totals")["usage_records"]
    assert records["value"] == "35" and states(legacy) == {"sent": 3}


def test_stripe_away_keeps_the_hold(shop):
    add_tenants(shop, "acme")
    send(shop, "acme", "api_calls", "8")
    hold(shop)
    accept(shop, exit_code=3, STRIPE_API_BASE="http://127.0.0.1:1")
    accept(shop, exit_code=2, STRIPE_SECRET_KEY=None)
    accept(shop)


def test_every_statement_prepares_for_both_roles(line):
    files = sorted((ROOT / "common" / "stripe" / "sql").glob("reconcile_*.sql"))
    assert len(files) == 11
    for role in ("meterline_sink", "meterline_ctl"):
        line.sql("RESET ROLE")
        line.sql(f"SET ROLE {role}")
        for file in files:
            line.sql("PREPARE p AS " + file.read_text(encoding="utf-8"))
            line.sql("DEALLOCATE p")
