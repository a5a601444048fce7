"""Restores that come twice, that find something under way, or of which there is little to compare."""

import pytest

from support.aggregator import start
from support.lossy_servers import held, set_back, snapshot, start_servers, stop_servers
from support.restores import (accept_all, at_stripe, bill_150_and_set_both_back_to_100, emit, find_again, later,
                              not_compared, restored_without_coral, send_again, wait_counted)
from support.sink_shop import add_tenants, count, once, open_shop, states

pytestmark = pytest.mark.own_servers


@pytest.fixture(name="shop")
def shop_fixture(line):
    return open_shop(line)


def reboot(line):
    stop_servers(line)
    start_servers(line)


def test_a_reboot_releases_nothing_that_a_restore_held(shop):
    """Held since a restore, as nobody compared it: both servers are started anew, and it stays so."""
    line = shop
    restored_without_coral(line)
    accept_all(line)
    find_again(line, "coral")
    once(line)
    assert at_stripe(line) == 110 and not_compared(line) == 100
    reboot(line)
    line.sandbox.clock(25 * 3600)
    once(line)
    assert at_stripe(line) == 110 and not_compared(line) == 100


def test_two_restores_of_both_servers_in_a_row(shop):
    """What the first of them may have lost is held a day after it, whatever came since."""
    line = shop
    add_tenants(line, "a")
    bill_150_and_set_both_back_to_100(line, "20 hours")
    once(line)
    reboot(line)
    send_again(line)
    line.sandbox.clock(25 * 3600)
    once(line)
    assert at_stripe(line) == 150 and not_compared(line) == 70


def test_both_set_back_to_before_the_first_pick(shop):
    line = shop
    add_tenants(line, "a")
    aggregator = start(line)
    once(line)
    line.sql("UPDATE ledger_identity SET alive_at = alive_at - interval '20 hours'")
    aggregator.term()
    copies = snapshot(line)
    line.sql("UPDATE ledger_identity SET alive_at = now()")
    aggregator = start(line)
    emit(line, 0, 50)
    wait_counted(line, 50)
    once(line)
    assert at_stripe(line) == 50
    aggregator.term()
    set_back(line, copies)
    start(line)
    emit(line, 0, 50)
    wait_counted(line, 50)
    line.sandbox.clock(25 * 3600)
    once(line)
    assert at_stripe(line) == 50


def test_what_waited_in_the_backup_of_both_and_was_sent_a_day_ago(shop):
    """Claimed, not sent, in the backup; sent since, and Stripe has forgotten the identifiers."""
    line = shop
    add_tenants(line, "a")
    aggregator = start(line)
    emit(line, 0, 100)
    wait_counted(line, 100)
    line.sandbox.fault("status", path="/v1/billing/meter_events", status=500)
    line.run("meterline-sink", "--once")
    assert states(line) == {"pending": 1} and at_stripe(line) == 0
    line.sql("UPDATE ledger_identity SET alive_at = alive_at - interval '48 hours'")
    aggregator.term()
    copies = snapshot(line)
    line.sql("UPDATE ledger_identity SET alive_at = now()")
    line.sandbox.clear_faults()
    line.sql("UPDATE usage_submissions SET next_attempt_at = now()")
    once(line)
    assert at_stripe(line) == 100
    set_back(line, copies)
    line.sql("UPDATE usage_submissions SET next_attempt_at = now()")
    line.sandbox.clock(25 * 3600)
    line.run("meterline-sink", "--once")
    assert at_stripe(line) == 100 and states(line) == {"in_doubt": 1}
    # Its minute tells, and the place with it.
    sink = line.start_sink(SINK_INTERVAL_S=1)
    line.sql("UPDATE usage_submissions SET last_sent_at = now() - interval '5 hours'")
    line.wait_for(lambda: line.value("SELECT doubt_read_at IS NOT NULL FROM usage_submissions"), 90, "it is read")
    line.sql("UPDATE usage_submissions SET doubt_read_at = doubt_read_at - interval '61 minutes'")
    line.wait_for(lambda: states(line) == {"sent": 1}, 90, "it was sent")
    later(line)
    emit(line, 100, 5)
    start(line)
    line.wait_for(lambda: at_stripe(line) == 105, 90, "and its place goes on")
    assert sink.ready() and not line.audit().attention


def test_what_is_open_and_cancels_out_hides_no_difference(shop):
    """5 and -5, sent a moment ago: Stripe's figure may lie between, and 5 that a restore lost do."""
    line = shop
    add_tenants(line, "acme", "other")
    count(line, "api_calls", 10, "acme")
    once(line)
    line.sql("UPDATE usage_submissions SET sent_at = sent_at - interval '20 minutes'")
    # Lost by a restore: at Stripe, and in no ledger.
    line.sandbox.api("POST", "/v1/billing/meter_events", {
        "event_name": "api_calls", "identifier": "lost", "payload": {
            "stripe_customer_id": line.tenants["acme"], "value": "3"}})
    line.sql("SELECT suspect_ledger(now() - interval '20 hours')")
    line.sql("UPDATE ledger_restores SET restored_at = restored_at - interval '70 minutes',"
             " held_from = now() + interval '1 hour'")
    count(line, "api_calls", 15, "acme")
    once(line)
    count(line, "api_calls", 10, "acme")
    once(line)
    line.sql("UPDATE ledger_restores SET held_from = now() - interval '1 minute'")
    line.run("meterctl", "reconcile", "--tenant", "acme")
    assert line.value("SELECT count(*) FROM restore_proofs WHERE place = 'api_calls'"
                      " AND now() BETWEEN from_at AND until_at") == 0


def test_a_meter_that_stripe_does_not_have_is_not_asked_for_without_end(shop):
    line = shop
    add_tenants(line, "acme")
    count(line, "api_calls", 10, "acme")
    once(line)
    line.sql("UPDATE metrics SET stripe_event_name = 'nowhere' WHERE metric = 'llm_tokens'")
    count(line, "llm_tokens", 10, "acme")
    line.sql("SELECT hold_sinks()")
    line.run("meterctl", "restore", "accept", "--yes")
    assert not held(line)
    line.sql("UPDATE ledger_restores SET restored_at = restored_at - interval '2 hours'")
    sink = line.start_sink(SINK_INTERVAL_S=1)
    sink.wait_log("not_compared")
    runs = "SELECT count(*) FROM reconcile_runs WHERE reason = 'unproven'"
    line.wait_for(lambda: line.value(runs) == 1, 30, "it is compared")
    again = "SELECT max(started_at) - min(finished_at) FROM reconcile_runs WHERE reason = 'unproven' HAVING count(*) > 1"
    line.wait_for(lambda: line.value(again), 120, "and once more")
    assert line.value(again).total_seconds() >= 59
