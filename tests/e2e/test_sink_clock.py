"""Hours pass over calls whose outcome is unknown: they are never sent again, and Stripe's own summaries
tell what became of them."""

import pytest

from line import Line
from support.moved_clock import MovedPostgres, move_clock
from support.sink import EVENTS, add_tenants, count, is_sent, states, total

HOUR = 60  # Minutes.
# What becomes of the first try.
FATES = {"counted": [{"fault": "drop_after_apply", "times": 1}],
         "not counted": [{"fault": "drop_before_apply", "times": 1}],
         "counted, and a 502 on the way": [{"fault": "status", "status": 502, "applied": True,
                                            "stored": False, "times": 1}]}


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
        # All usage is of one period, however the clock moves.
        line.began = f"timestamptz '{line.value('SELECT now()')}'"
        yield line
    finally:
        line.close()


def use(line, tenant, quantity):
    """So much api_calls in all, as the aggregator would write it."""
    count(line, tenant, "api_calls", str(quantity), line.began)
    line.sql(f"""
        INSERT INTO usage_aggregates AS a (tenant, metric, minute_at, events, quantity_sum, quantity_min,
                                           quantity_max, quantity_last, last_ms, last_entry)
        SELECT %s, 'api_calls', minute_of({line.began}), 1, n, n, n, n, 0, '' FROM (VALUES (%s)) AS v (n)
        ON CONFLICT (tenant, metric, dimensions, minute_at) DO UPDATE
           SET quantity_sum = excluded.quantity_sum""", tenant, quantity)


def leave_unknown(line, fate):
    """acme's 5 calls were tried, the sink died, and nobody knows more: the identifier."""
    add_tenants(line, "acme", "other")
    use(line, "acme", 5)
    for fault in FATES[fate]:
        line.sandbox.fault(path=EVENTS, **fault)
    sink = line.start_sink(SINK_INTERVAL_S=1)
    sink.wait_log("send_delayed")
    line.wait_for(lambda: line.value("SELECT owner IS NULL FROM usage_submissions"))
    sink.kill9()
    line.sandbox.clear_faults()
    assert states(line) in ({"pending": 1}, {"sending": 1})
    assert total(line, "acme", "api_calls") == (0 if fate == "not counted" else 5)
    return line.value("SELECT identifier FROM usage_submissions")


def tries(line, identifier):
    return len(line.sandbox.identifiers(identifier))


def state_of(line, identifier):
    return line.value("SELECT state FROM usage_submissions WHERE identifier = %s", identifier)


def go_on(line, minutes):
    """The sink finds itself so long after the beginning, with usage of another customer to send."""
    for stage in line.stages:
        stage.close()
    move_clock(line, minutes * 60)
    use(line, "other", minutes)
    sink = line.start_sink(SINK_INTERVAL_S=1)
    line.wait_for(lambda: total(line, "other", "api_calls") == minutes, what="the sink is at work")
    return sink


def test_within_23_hours_the_same_bytes_are_sent_again(shop):
    identifier = leave_unknown(shop, "counted")
    before = tries(shop, identifier)
    go_on(shop, 22 * HOUR)
    shop.wait_for(is_sent(shop, 2))
    assert tries(shop, identifier) == before + 1 and total(shop, "acme", "api_calls") == 5


@pytest.mark.parametrize("fate", FATES)
def test_after_23_hours_it_is_never_sent_again_and_stripes_summaries_decide(shop, fate):
    """At 25 h Stripe has forgotten the key and the identifier: sent again, it would count twice."""
    identifier = leave_unknown(shop, fate)
    before = tries(shop, identifier)
    sink = go_on(shop, 25 * HOUR)
    sink.wait_log("send_doubted", identifier=identifier)
    shop.wait_for(lambda: shop.value("SELECT doubt_read_at FROM usage_submissions WHERE identifier = %s",
                                     identifier), 60, "the summaries are read first")
    assert state_of(shop, identifier) == "in_doubt"
    go_on(shop, 25 * HOUR + 50)
    assert state_of(shop, identifier) == "in_doubt"
    go_on(shop, 27 * HOUR)
    shop.wait_for(lambda: state_of(shop, identifier) != "in_doubt", 60, "the second reading decides")
    counted = fate != "not counted"
    assert state_of(shop, identifier) == ("sent" if counted else "void")
    assert tries(shop, identifier) == before
    # What Stripe does not hold is claimed anew, under another identifier.
    shop.wait_for(lambda: total(shop, "acme", "api_calls") == 5)
    shop.wait_for(lambda: states(shop) == ({"sent": 4} if counted else {"sent": 4, "void": 1}))
    assert shop.sandbox.all_identifiers()["differing"] == {}
    audit = shop.audit()
    assert audit.ok, audit.text


@pytest.mark.parametrize("applied", [True, False], ids=["counted", "not counted"])
def test_a_stored_500_is_in_doubt_at_once_and_keeps_no_lane(shop, applied):
    """Stripe would give it again for that key until it forgets it. What comes after it in the lane goes out, and
    the summaries tell what became of it."""
    add_tenants(shop, "acme", "other")
    use(shop, "acme", 5)
    shop.sandbox.fault("status", path=EVENTS, status=500, applied=applied, stored=True, times=1)
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    sink.wait_log("send_delayed")
    doubted = sink.wait_log("send_doubted", level="error")
    identifier = doubted["identifier"]
    shop.wait_for(lambda: state_of(shop, identifier) == "in_doubt")  # The line comes before the COMMIT.
    assert tries(shop, identifier) == 2
    assert total(shop, "acme", "api_calls") == (5 if applied else 0)
    use(shop, "acme", 8)
    shop.wait_for(lambda: total(shop, "acme", "api_calls") == (8 if applied else 3), what="the lane goes on")
    for minutes in (2 * HOUR + 5, 3 * HOUR + 10):
        go_on(shop, minutes)
        shop.wait_for(lambda: shop.value(
            "SELECT doubt_read_at > now() - interval '5 minutes' OR state <> 'in_doubt'"
            " FROM usage_submissions WHERE identifier = %s", identifier), 60, "its minute is read")
    assert state_of(shop, identifier) == ("sent" if applied else "void")
    shop.wait_for(lambda: total(shop, "acme", "api_calls") == 8)
    assert tries(shop, identifier) == 2 and shop.sandbox.all_identifiers()["differing"] == {}
    audit = shop.audit()
    assert audit.ok, audit.text
