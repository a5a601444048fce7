"""meterctl messages: what is told to others, and having it sent again."""

import json

import pytest

from line.wait import wait_until
from support.outbox import Receiver, add_message, alert, states

SECRET = "whsec_of_the_tenant"


@pytest.fixture(name="told")
def told_fixture(line):
    """Three messages of acme's and one of beta's; acme's POST of the first one has failed."""
    line.url = "https://acme.example/hook"
    alert(line, "acme", email="ops@acme.example", url=line.url, secret=SECRET)
    for number in range(2):
        add_message(line, "payment_failed", str(number), "acme", {"attempt": number, "share": 0.1})
    add_message(line, "trial_ending", "1", "acme", {})
    add_message(line, "payment_failed", "1", "beta", {})
    line.sql("UPDATE outgoing_messages SET state = 'failed', error = 'the receiver answered 410', attempts = 3 "
             "WHERE channel = 'post' AND data ->> 'attempt' = '0'")
    return line


def listed(line, *args):
    return json.loads(line.must("meterctl", "messages", "list", "--json", *args).stdout)


def test_lists_by_what_one_looks_for(told):
    line = told
    assert len(listed(line)) == 10
    assert {row["tenant"] for row in listed(line, "--tenant", "beta")} == {"beta"}
    assert len(listed(line, "--kind", "payment_*")) == 7 and len(listed(line, "--kind", "trial_ending")) == 3
    assert len(listed(line, "--channel", "mail")) == 3 and len(listed(line, "--limit", "4")) == 4
    failed, = listed(line, "--state", "failed")
    assert failed["error"] == "the receiver answered 410" and failed["destination"] == line.url
    assert failed["data"] == {"attempt": 0, "share": "0.1"}
    line.sql("UPDATE outgoing_messages SET created_at = now() - interval '3 days' WHERE tenant = 'beta'")
    assert [row["tenant"] for row in listed(line, "--before", "36h")] == ["beta"]
    assert len(listed(line, "--since", "36h")) == 9
    line.sql("UPDATE outgoing_messages SET destination = 'https://user:open-sesame@acme.example/' WHERE state = 'failed'")
    assert listed(line, "--state", "failed")[0]["destination"] == "https://user:***@acme.example/"
    text = line.must("meterctl", "messages", "list", "--wide").stdout
    assert "payment_failed" in text and "ops@acme.example" in text
    for done in (text, json.dumps(listed(line))):
        assert SECRET not in done and "open-sesame" not in done


@pytest.mark.parametrize("args", [("--state", "gone"), ("--channel", "sms"), ("--limit", "0"), ("x",)])
def test_wrong_words_are_told(line, args):
    done = line.meterctl("messages", "list", *args)
    assert done.returncode == 2 and done.stderr


def test_shows_each_way_of_a_message(told):
    line = told
    failed, = listed(line, "--state", "failed")
    text = line.must("meterctl", "messages", "show", failed["message_id"]).stdout
    assert text.count(failed["message_id"]) == 3 and "meterctl messages retry" in text and SECRET not in text
    ways = json.loads(line.must("meterctl", "messages", "show", failed["message_id"], "--json").stdout)
    assert sorted(way["channel"] for way in ways) == ["mail", "post", "signal"]
    done = line.meterctl("messages", "show", "msg_1")
    assert done.returncode == 1 and "there is no message msg_1" in done.stderr


def test_has_failed_messages_sent_again(line):
    answers = [410]
    receiver = Receiver(lambda path, number: answers[0])
    try:
        alert(line, "acme", url=f"{receiver.url}/", secret=SECRET)
        add_message(line, "payment_failed", "1", "acme", {})
        line.start_notifier(NOTIFIER_ALLOW_PRIVATE=1).wait_ready()
        wait_until(lambda: states(line, "post") == {"failed": 1}, 20, "it has failed")
        answers[0] = 200
        done = line.meterctl("messages", "retry", "--state", "failed")
        assert done.returncode == 1 and "--yes" in done.stderr and states(line, "post") == {"failed": 1}
        done = line.must("meterctl", "messages", "retry", "--state", "failed", "--yes")
        assert "retried 1" in done.stdout
        wait_until(lambda: states(line, "post") == {"sent": 1}, 20, "it is sent")
        assert len(receiver.ids()) == 2 and len(set(receiver.ids())) == 1
        message = receiver.ids()[0]
        done = line.meterctl("messages", "retry", message)
        assert done.returncode == 1 and f"skipped {message} channel=post state=sent" in done.stdout
    finally:
        receiver.close()


def test_what_waits_for_a_failing_address_is_tried_at_once(line):
    line.sql("INSERT INTO failing_addresses (channel, destination, failures, retry_at) "
             "VALUES ('post', 'https://acme.example/', 9, now() + interval '1 h')")
    alert(line, "acme", url="https://acme.example/", secret=SECRET)
    add_message(line, "payment_failed", "1", "acme", {})
    row, = listed(line, "--channel", "post")
    assert row["address_failures"] == 9 and row["next_attempt_at"] > row["created_at"]
    line.must("meterctl", "messages", "retry", row["message_id"])
    assert line.value("SELECT retry_at <= now() FROM failing_addresses")


@pytest.mark.parametrize("args, why", [((), "either message ids or a filter"), (("msg_1", "--state", "failed"), "either"),
                                       (("--state", "sent"), "not sent again"), (("--state", "x"), "--state must be")])
def test_retry_says_what_it_needs(line, args, why):
    done = line.meterctl("messages", "retry", *args)
    assert done.returncode == 2 and why in done.stderr
