"""The outbox and billing:signals: each message is told once where that is possible, and at least once
whatever dies."""

import json
import threading
import time

import pytest

from line.wait import wait_until
from support.outbox import add_message, add_messages, states

STREAM = "billing:signals"


def signals(line):
    return [fields for _, fields in line.client().xrange(STREAM)]


def ids(line):
    return [fields["id"] for fields in signals(line)]


def wait_sent(line, n, timeout=20):
    wait_until(lambda: states(line).get("sent", 0) >= n, timeout, f"{n} messages are sent",
               explain=lambda: str(states(line)))


def test_a_message_is_a_signal_within_a_second(line):
    """A NOTIFY at commit wakes the notifier; the signal has all that the row has, and only once."""
    notifier = line.start_notifier().wait_ready()
    wait_until(lambda: notifier.metric("meterline_messages", channel="signal", state="waiting") == 0, 10,
               "it has counted, and so listens")
    waits = []
    for number in range(5):
        begun = time.monotonic()
        assert add_message(line, "payment_failed", f"in_{number}", "acme", {"amount_minor": 4200, "try": number})
        wait_until(lambda: len(signals(line)) == number + 1, 10, "the signal is there")
        waits.append(time.monotonic() - begun)
    assert sorted(waits)[2] < 0.3, waits
    first = signals(line)[0]
    assert first["kind"] == "payment_failed" and first["tenant"] == "acme"
    assert json.loads(first["data"]) == {"amount_minor": 4200, "try": 0}
    assert first["id"] == line.value("SELECT message_id FROM outgoing_messages ORDER BY created_at LIMIT 1")
    assert abs(int(first["occurred_at"]) - time.time() * 1000) < 60000
    # What happened is told once, whoever notices it again.
    assert not add_message(line, "payment_failed", "in_0", "acme", {"amount_minor": 4200, "try": 0})
    wait_sent(line, 5)
    assert len(signals(line)) == 5
    assert notifier.metric("meterline_messages_tried_total", channel="signal", outcome="sent") == 5


def test_the_stream_is_trimmed(line):
    line.start_notifier(SIGNALS_MAXLEN=100).wait_ready()
    add_messages(line, 1000)
    wait_sent(line, 1000)
    assert 100 <= line.client().xlen(STREAM) <= 300  # Redis trims whole nodes of 100 entries.
    assert ids(line)[-1] in [f"msg_{number:032d}" for number in range(1, 1001)]


def test_the_stream_is_kept_whole_if_asked(line):
    line.start_notifier(SIGNALS_MAXLEN=0).wait_ready()
    add_messages(line, 500)
    wait_sent(line, 500)
    assert sorted(ids(line)) == [f"msg_{number:032d}" for number in range(1, 501)]


def test_what_waits_is_sent_at_start_in_the_order_in_which_it_came_up(line):
    add_messages(line, 300)
    line.start_notifier().wait_ready()
    wait_sent(line, 300)
    assert ids(line) == [f"msg_{number:032d}" for number in range(1, 301)]


def test_a_message_that_is_rolled_back_is_told_to_nobody(line):
    notifier = line.start_notifier().wait_ready()
    line.sql("BEGIN")
    assert add_message(line, "trial_ending", "sub_1", "acme", {})
    line.sql("ROLLBACK")
    add_message(line, "trial_ending", "sub_2", "acme", {})
    wait_sent(line, 1)
    assert len(signals(line)) == 1
    assert notifier.running


def test_a_notifier_that_died_after_the_signal_does_not_repeat_it(line):
    """Killed between XADD and the note of it: the next one finds the mark, and adds nothing."""
    add_messages(line, 1)
    notifier = line.start_notifier(METERLINE_TEST_CRASH="message_sent")
    assert notifier.wait_exit() == -9
    assert states(line) == {"waiting": 1} and len(signals(line)) == 1
    line.sql("UPDATE outgoing_messages SET lease_until = now()")
    line.start_notifier().wait_ready()
    wait_sent(line, 1)
    assert len(signals(line)) == 1
    assert line.value("SELECT attempts FROM outgoing_messages") == 2


def test_a_killed_notifiers_messages_are_taken_up_by_another(line):
    """The lease of a killed one runs out; one that lives leaves its messages alone until then."""
    add_messages(line, 1)
    line.sql("UPDATE outgoing_messages SET lease_until = now() + interval '2 s', attempts = 1")
    line.start_notifier().wait_ready()
    begun = time.monotonic()
    wait_sent(line, 1)
    assert time.monotonic() - begun > 0.5 and ids(line) == [f"msg_{1:032d}"]


@pytest.mark.parametrize("notifiers", [3])
def test_a_storm_of_kills_loses_nothing_and_repeats_nothing(line, notifiers):
    """kill -9 at random over several notifiers while messages come: each id is there, and once."""
    running = [line.start_notifier() for _ in range(notifiers)]
    total, kills = 3000, 8
    done = threading.Event()

    def write():
        for first in range(1, total, 100):
            add_messages(line, 100, first)
            time.sleep(0.05)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    killed = 0
    while not done.is_set() or killed < kills:
        running[killed % notifiers].kill9()
        running[killed % notifiers] = line.start_notifier()
        killed += 1
        time.sleep(0.2)
    writer.join()
    # What a killed one held is free when its lease is over; a test need not wait for that.
    line.sql("UPDATE outgoing_messages SET lease_until = now() WHERE state = 'waiting'")
    wait_sent(line, total, 30)
    assert sorted(ids(line)) == [f"msg_{number:032d}" for number in range(1, total + 1)]


@pytest.mark.own_servers
def test_an_outage_of_redis_delays_and_loses_nothing(line):
    notifier = line.start_notifier().wait_ready()
    add_messages(line, 10)
    wait_sent(line, 10)
    line.redis.stop()
    wait_until(lambda: not notifier.ready(), 20, "it is not ready")
    add_messages(line, 10, 11)
    assert "redis: not connected" in notifier.get("/readyz")[1]
    time.sleep(1.2)
    assert states(line) == {"sent": 10, "waiting": 10} and notifier.running
    line.redis.start()
    wait_sent(line, 20)
    assert sorted(ids(line)) == [f"msg_{number:032d}" for number in range(1, 21)]
    notifier.wait_ready()


@pytest.mark.own_servers
def test_an_outage_of_postgres_delays_and_loses_nothing(line):
    notifier = line.start_notifier().wait_ready()
    line.postgres.stop()
    wait_until(lambda: not notifier.ready(), 20, "it is not ready")
    line.postgres.start()
    add_messages(line, 10)
    wait_sent(line, 10)
    assert sorted(ids(line)) == [f"msg_{number:032d}" for number in range(1, 11)]
    notifier.term()


@pytest.mark.own_servers
def test_a_full_redis_delays(line):
    notifier = line.start_notifier().wait_ready()
    line.client().config_set("maxmemory", "1")
    add_messages(line, 3)
    delayed = notifier.wait_log("message_delayed", 20, channel="signal")
    assert "OOM" in delayed["msg"]
    line.client().config_set("maxmemory", "0")
    wait_sent(line, 3)
    assert len(ids(line)) == 3


def test_old_messages_are_forgotten_and_waiting_ones_are_not(line):
    add_messages(line, 3)
    line.sql("UPDATE outgoing_messages SET created_at = now() - interval '40 days'")
    line.sql("UPDATE outgoing_messages SET state = 'sent' WHERE message_id <> %s", f"msg_{1:032d}")
    line.sql("UPDATE outgoing_messages SET next_attempt_at = 'infinity' WHERE state = 'waiting'")
    line.sql("INSERT INTO failing_addresses (channel, destination, failures, retry_at) SELECT 'post', a, 9, now() - age "
             "FROM (VALUES ('https://old/', interval '2 days'), ('https://new/', interval '1 h')) v (a, age)")
    line.start_notifier(MESSAGE_KEEP_DAYS=31).wait_ready()
    wait_until(lambda: line.value("SELECT count(*) FROM outgoing_messages") == 1, 20, "old ones are gone")
    assert line.value("SELECT message_id FROM outgoing_messages") == f"msg_{1:032d}"
    assert line.sql("SELECT destination FROM failing_addresses") == [("https://new/",)]


def test_it_stands_with_the_other_stages(line):
    """/readyz, the heartbeat, --print-config, and an orderly end that leaves no row."""
    notifier = line.start_notifier().wait_ready()
    wait_until(lambda: line.value("SELECT count(*) FROM stage_instances WHERE stage = 'notifier' AND ready") == 1, 20,
               "the heartbeat is there")
    assert "notifier" in line.meterctl("status").stdout
    notifier.term()
    assert line.value("SELECT count(*) FROM stage_instances WHERE stage = 'notifier'") == 0
