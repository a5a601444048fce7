"""PostgreSQL is started anew, fails over or comes back from a backup: sinks go on by themselves where Redis
shows that nothing is missing, and hold where something is, or where nobody can tell."""

import pytest

from line import Pgbouncer
from support.aggregator import start
from support.ledger_proof import Flow, settle
from support.lossy_servers import base_backup, epochs, held, restore, start_servers, stop_servers
from support.restores import (at_stripe, bill, bill_150_and_set_both_back_to_100, emit, later, not_compared,
                              send_again, wait_counted)
from support.sink import add_tenants

pytestmark = pytest.mark.own_servers

SENT = "SELECT coalesce(sum(quantity), 0)::bigint FROM usage_submissions WHERE state = 'sent'"


@pytest.fixture(name="shop")
def shop_fixture(line):
    line.settings["SINK_RATE_PER_S"] = "1000"
    line.start_sandbox(rate_per_s=0)
    line.tenants = {}
    add_tenants(line, "a")
    return line


def picks(line):
    return line.value("SELECT picks FROM ledger_identity")


def assert_holds(line, why):
    """A sink sends nothing, says why, and a person's command lets it go on: nothing is billed twice."""
    before = at_stripe(line)
    assert line.run("meterline-sink", "--once").returncode == 1
    assert held(line) and at_stripe(line) == before
    assert line.value("SELECT suspicion FROM ledger_identity") == why
    told = line.run("meterctl", "restore", "accept")
    assert told.returncode == 1 and f"why={why}" in told.stdout, told.stdout + told.stderr
    line.must("meterctl", "restore", "accept", "--yes", timeout=120)
    assert not held(line)


def test_a_restart_of_postgres_holds_nobody(shop):
    start(shop)
    emit(shop, 0, 100)
    wait_counted(shop, 100)
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    shop.wait_for(lambda: at_stripe(shop) == 100, 60, "100 are sent")
    shop.postgres.stop()
    shop.postgres.start()
    shop._disconnect()
    sink.wait_log("ledger_confirmed", timeout=60)
    emit(shop, 100, 5)
    shop.wait_for(lambda: at_stripe(shop) == 105, 60, "the rest is sent")
    assert not held(shop) and not sink.logs("ledger_suspected")


def test_redis_that_lost_all_is_told_again_and_a_restart_holds_nobody(shop):
    start(shop)
    emit(shop, 0, 100)
    wait_counted(shop, 100)
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    shop.wait_for(lambda: at_stripe(shop) == 100, 60, "100 are sent")
    key = f"meterline:sent:{shop.value('SELECT ledger_id::text FROM ledger_identity')}"
    shop.redis.restart_empty()
    shop.wait_for(lambda: shop.client().get(key) is not None, 60, "Redis knows the picks again")
    assert int(shop.client().get(key)) == picks(shop)
    shop.wait_for(lambda: shop.value("SELECT redis_run FROM ledger_identity") == shop.client().info("server")["run_id"], 30,
                  "and it is noted, since another start of it looks like a restore of both")
    shop.postgres.stop()
    shop.postgres.start()
    shop._disconnect()
    sink.wait_log("ledger_confirmed", timeout=60)
    emit(shop, 100, 5)
    shop.wait_for(lambda: at_stripe(shop) == 105, 60, "the rest is sent")
    assert not held(shop)


def test_a_backup_from_between_counting_and_sending(shop):
    """The stream is not ahead of it, and Stripe has forgotten the identifiers: 100, not 200."""
    start(shop)
    emit(shop, 0, 100)
    wait_counted(shop, 100)
    shop.start_sink(SINK_INTERVAL_S=86400).wait_log("cycle_settled")
    backup = base_backup(shop)
    shop.stages[-1].term()
    bill(shop)
    assert at_stripe(shop) == 100
    restore(shop, backup)
    wait_counted(shop, 100)
    assert_holds(shop, "behind")
    bill(shop)
    assert at_stripe(shop) == 100 == shop.value(SENT)


def test_a_backup_with_an_empty_redis_and_services_that_send_again(shop):
    """150 were billed, the ledger knows of 100: 150, not 200."""
    aggregator = start(shop)
    emit(shop, 0, 100)
    wait_counted(shop, 100)
    bill(shop)
    backup = base_backup(shop)
    emit(shop, 100, 50)
    wait_counted(shop, 150)
    bill(shop)
    assert at_stripe(shop) == 150
    aggregator.term()
    shop.redis.restart_empty()
    restore(shop, backup)
    start(shop)
    emit(shop, 0, 150)
    wait_counted(shop, 150)
    assert_holds(shop, "unknown")
    bill(shop)
    assert at_stripe(shop) == 150


def test_nothing_is_sent_while_redis_is_away(shop):
    """Who could not tell it of the pick sends nothing, and says why it is not ready."""
    start(shop)
    emit(shop, 0, 100)
    wait_counted(shop, 100)
    shop.redis.stop()
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    shop.wait_for(lambda: "redis" in sink.get("/readyz")[1], 60, "it says so")
    assert at_stripe(shop) == 0
    shop.redis.start()
    shop._disconnect()
    shop.wait_for(lambda: at_stripe(shop) == 100, 60, "it is sent")


@pytest.mark.parametrize("pooled", [False, True], ids=["direct", "behind a pooler"])
def test_a_ledger_that_went_back_is_found_without_an_event(shop, pooled):
    """Nobody emits any more: aggregator and sink see it by themselves, also through connections that a
    pooler kept, and the gauge tells what the audit does."""
    if pooled:
        shop.pooler = Pgbouncer(shop.folder, shop.postgres, default_pool_size=10)
        shop.pooler.start()
        shop.settings["DATABASE_URL"] = shop.pooler.url
    aggregator = start(shop)
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    emit(shop, 0, 100)
    shop.wait_for(lambda: at_stripe(shop) == 100, 60, "100 are sent")
    backup = base_backup(shop)
    emit(shop, 100, 50)
    shop.wait_for(lambda: at_stripe(shop) == 150, 60, "150 are sent")
    restore(shop, backup)
    told = aggregator.wait_log("ledger_behind_stream", level="error", timeout=60)
    assert told["lost"] == "50"
    sink.wait_log("ledger_suspected", why="behind", timeout=60)
    shop.wait_for(lambda: "held" in sink.get("/readyz")[1], 30, "it says so")
    shop.wait_for(lambda: aggregator.metric("meterline_unaccounted_events") == 0, 30, "the gauge balances")
    assert [each["difference"] for each in epochs(shop).values()] == [0]
    told = shop.run("meterctl", "restore", "accept")
    assert told.returncode == 1 and "why=behind" in told.stdout and "lost=50" in told.stdout
    assert at_stripe(shop) == 150
    for stage in shop.stages:
        stage.close()
    if pooled:
        shop.pooler.close()


def test_restarts_while_it_counts_hold_nobody(shop):
    """What others commit and tell Redis between two looks is nothing that the ledger lacks."""
    add_tenants(shop, *(f"t{n}" for n in range(5)))
    start(shop)
    sinks = [shop.start_sink(SINK_INTERVAL_S=1) for _ in range(2)]
    shop.wait_for(lambda: shop.value("SELECT life FROM ledger_identity"), 60, "the ledger is compared")
    with Flow(shop, repeats=0) as flow:
        for _ in range(4):
            flow.wait_added(200)
            shop.postgres.stop()
            shop.postgres.start()
            shop._disconnect()
            shop.wait_for(lambda: shop.value("SELECT sink_hold() <> -1"), 60, "it was compared")
            assert not held(shop)
    shop.wait_for(lambda: sum(len(sink.logs("ledger_confirmed")) for sink in sinks) >= 4, 30, "each is told")
    settle(shop)
    shop.wait_for(lambda: at_stripe(shop) == shop.value("SELECT sum(quantity) FROM usage_totals"), 60,
                  "all is sent")
    assert shop.audit().ok
    assert not any(sink.logs("ledger_suspected") for sink in sinks)


def test_who_accepts_before_a_sink_has_compared_is_told_to_start_one(shop):
    start(shop)
    emit(shop, 0, 10)
    wait_counted(shop, 10)
    bill(shop)
    assert shop.run("meterctl", "restore", "accept").returncode == 0
    shop.postgres.stop()
    shop.postgres.start()
    shop._disconnect()
    told = shop.run("meterctl", "restore", "accept")
    assert told.returncode == 1 and "start one" in told.stderr
    bill(shop)
    told = shop.run("meterctl", "restore", "accept")
    assert told.returncode == 0 and told.stdout == "sinks are not held\n"


# PostgreSQL and Redis together: neither knows more than the other.

def test_both_servers_set_back_to_a_moment_whose_identifiers_stripe_has_forgotten(shop):
    """150 were billed, both know of 100: 170, not 220."""
    bill_150_and_set_both_back_to_100(shop, "20 hours")
    send_again(shop)
    shop.sandbox.clock(25 * 3600)
    bill(shop)
    assert at_stripe(shop) == 150 and not_compared(shop) == 70 and not held(shop)
    assert shop.audit().attention == {"not_compared": "70"}
    later(shop)
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    sink.wait_log("drift_found", timeout=60)
    shop.must("meterctl", "restore", "accept", "--yes", timeout=120)
    shop.wait_for(lambda: at_stripe(shop) == 170, 60, "the rest is sent")
    shop.wait_for(lambda: not_compared(shop) == 0 and shop.value(SENT) == 170, 30, "and settled")


def test_who_knows_that_both_were_set_back_holds_sinks(shop):
    bill_150_and_set_both_back_to_100(shop, "1 hour")
    asked = shop.run("meterctl", "restore", "hold")
    assert asked.returncode == 1 and "--yes" in asked.stderr and not held(shop)
    assert shop.must("meterctl", "restore", "hold", "--yes").stdout == "sinks are held\n"
    assert shop.must("meterctl", "restore", "hold", "--yes").stdout == "sinks are held already\n"
    send_again(shop)
    assert_holds(shop, "asked")
    bill(shop)
    assert at_stripe(shop) == 170 == shop.value(SENT)


def test_what_stripe_knows_by_its_identifier_is_not_billed_again(shop):
    """Within a day it is found when it is sent; a person compares."""
    bill_150_and_set_both_back_to_100(shop, "1 hour")
    send_again(shop)
    bill(shop)
    assert at_stripe(shop) == 150 and not held(shop) and not_compared(shop) == 0
    assert shop.audit().attention == {"in_doubt": "70"}
    shop.must("meterctl", "restore", "hold", "--yes")
    assert_holds(shop, "asked")
    bill(shop)
    assert at_stripe(shop) == 170


def test_both_servers_started_anew_hold_nobody_for_20_hours(shop):
    start(shop)
    emit(shop, 0, 100)
    wait_counted(shop, 100)
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    shop.wait_for(lambda: at_stripe(shop) == 100, 60, "100 are sent")
    stop_servers(shop)
    start_servers(shop)
    sink.wait_log("ledger_unsure", timeout=60)
    assert shop.value("SELECT held_from BETWEEN now() + interval '19 hours 50 minutes' AND now() + interval '20 hours'"
                      " FROM ledger_restores")
    emit(shop, 100, 5)
    shop.wait_for(lambda: at_stripe(shop) == 105, 60, "the rest is sent")
    assert not held(shop) and sink.ready()
    # 20 hours later: compared by itself, where nothing is missing.
    shop.sql("UPDATE ledger_restores SET held_from = now()")
    emit(shop, 105, 5)
    shop.wait_for(lambda: not_compared(shop) == 5, 60, "it is held")
    later(shop)
    shop.wait_for(lambda: at_stripe(shop) == 110, 120, "it was compared, and sent")
    assert not held(shop) and not shop.audit().attention


def test_a_start_of_postgres_soon_after_one_of_redis_is_one_of_postgres(shop):
    start(shop)
    emit(shop, 0, 100)
    wait_counted(shop, 100)
    sink = shop.start_sink(SINK_INTERVAL_S=1)
    shop.wait_for(lambda: at_stripe(shop) == 100, 60, "100 are sent")
    run = "SELECT redis_run FROM ledger_identity"
    before = shop.value(run)
    shop.redis.stop()
    shop.redis.start()
    shop._disconnect()
    shop.wait_for(lambda: shop.value(run) == shop.client().info("server")["run_id"] != before, 30, "it is noted")
    shop.postgres.stop()
    shop.postgres.start()
    shop._disconnect()
    sink.wait_log("ledger_confirmed", timeout=60)
    assert not sink.logs("ledger_unsure")
