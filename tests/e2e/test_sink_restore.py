"""PostgreSQL comes back from a base backup that knows nothing of the last claims, which Stripe holds: sinks
hold until `meterctl restore accept` has compared with Stripe, and nothing is billed twice."""

import random

import pytest

from support.lossy_servers import base_backup, held, restore
from support.sink import EVENTS, add_tenants

pytestmark = pytest.mark.own_servers

TENANTS = [f"t{n}" for n in range(12)]
METRICS = ["api_calls", "llm_tokens"]
TOTALS = """
    SELECT b.stripe_customer_id AS customer, t.metric, sum(floor(t.quantity))::bigint AS units
      FROM usage_totals t JOIN billing_customers b USING (tenant) GROUP BY 1, 2"""


@pytest.fixture(name="shop")
def shop_fixture(line):
    line.settings["SINK_RATE_PER_S"] = "1000"
    line.start_sandbox(rate_per_s=0)
    line.tenants, line.emitted = {}, 0
    add_tenants(line, *TENANTS)
    return line


def emit(line, seed):
    """Usage of every tenant and metric, a part of it below one; counted when this returns."""
    choose = random.Random(seed)
    line.emitted += line.emit(
        [{"tenant": tenant, "metric": metric, "id": f"{metric} {seed}",
          "quantity": f"{choose.randrange(100, 10_000)}.{choose.randrange(10)}"}
         for tenant in TENANTS for metric in METRICS])


def wait_counted(line, events):
    line.wait_for(lambda: line.value("SELECT sum(counted) FROM stream_positions") == events, 30,
                  f"{events} are counted")


def ours(line):
    return {(row.customer, row.metric): row.units for row in line.sql(TOTALS)}


def theirs(line):
    return {(row["customer"], row["event_name"]): int(row["value"]) for row in line.sandbox.totals()}


def bill(line):
    line.must("meterline-sink", "--once")
    assert theirs(line) == ours(line)


def states(line):
    return {row.state for row in line.sql("SELECT DISTINCT state FROM usage_submissions")}


def is_settled(line):
    return states(line) <= {"sent", "void"} and line.value(
        "SELECT count(*) FROM usage_unbilled WHERE reason = 'waiting'") == 0


def accept_and_bill(line):
    """What a person does, and what comes of it: Stripe holds what the ledger counts, to the unit."""
    assert held(line)
    done = line.run("meterline-sink", "--once")
    assert done.returncode == 1, "held sinks do nothing"
    requests = len(line.sandbox.requests(path=EVENTS, limit=100_000))
    line.must("meterctl", "restore", "accept", "--yes", timeout=120)
    assert not held(line)
    assert len(line.sandbox.requests(path=EVENTS, limit=100_000)) == requests, "it only reads"
    sink = line.start_sink(SINK_INTERVAL_S=1)
    sink.wait_log("cycle_settled")
    line.wait_for(lambda: is_settled(line), 60, "all is claimed and settled")
    sink.term()
    assert theirs(line) == ours(line)
    assert line.sandbox.all_identifiers()["differing"] == {}
    assert not [e for e in line.sandbox.meter_events() if e["status"] != "aggregated"]
    audit = line.audit()
    assert audit.ok, audit.text


@pytest.mark.parametrize("keep_s", [3600, 0], ids=["the stream covers the gap", "the gap is lost"])
@pytest.mark.parametrize("more", [False, True], ids=["", "more usage before it is accepted"])
def test_the_last_claims_are_lost_and_billed_once(shop, keep_s, more):
    aggregator = shop.start_aggregator(AGGREGATOR_FLUSH_MS=50, STREAM_KEEP_S=keep_s)
    for seed in (1, 2):
        emit(shop, seed)
        wait_counted(shop, shop.emitted)
        bill(shop)
    known = shop.emitted
    backup = base_backup(shop)
    for seed in (3, 4):
        emit(shop, seed)
        wait_counted(shop, shop.emitted)
        bill(shop)
    restore(shop, backup)
    aggregator.wait_log("ledger_behind_stream", level="error", timeout=30)
    if more:
        emit(shop, 5)
    lost = 0 if keep_s else 2 * len(TENANTS) * len(METRICS)
    wait_counted(shop, shop.emitted - lost)
    assert known == 2 * len(TENANTS) * len(METRICS)
    accept_and_bill(shop)


def test_what_waited_at_the_backup_and_was_sent_since(shop):
    """The restored database takes as unsent what Stripe holds: the same bytes under the same key."""
    aggregator = shop.start_aggregator(AGGREGATOR_FLUSH_MS=50, STREAM_KEEP_S=3600)
    emit(shop, 1)
    wait_counted(shop, shop.emitted)
    shop.sandbox.fault("status", path=EVENTS, status=500)
    assert shop.run("meterline-sink", "--once").returncode in (0, 1)
    assert states(shop) == {"pending"} and theirs(shop) == {}
    backup = base_backup(shop)
    shop.sandbox.clear_faults()
    emit(shop, 2)
    wait_counted(shop, shop.emitted)
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    shop.wait_for(lambda: theirs(shop) == ours(shop), 60, "all is sent")
    sink.term()
    restore(shop, backup)
    aggregator.wait_log("ledger_behind_stream", level="error", timeout=30)
    wait_counted(shop, shop.emitted)
    accept_and_bill(shop)
