"""Signed POSTs: what is sent, when it is sent again, and where it never goes."""

import json
import socket
import subprocess
import threading
import time

import pytest
import stripe

from line.wait import wait_until
from support.pages import blocks_for
from support.outbox import Receiver, add_message, add_messages, alert, states

SECRET = "whsec_of_the_tenant"
QUICK = {"NOTIFIER_ALLOW_PRIVATE": 1, "NOTIFIER_RETRY_FIRST_MS": 50, "NOTIFIER_RETRY_MAX_S": 1}


@pytest.fixture(name="receive")
def receive_fixture():
    opened = []

    def receive(*args, **options):
        opened.append(Receiver(*args, **options))
        return opened[-1]
    yield receive
    for receiver in opened:
        receiver.close()


def wait_states(line, expected, timeout=20, channel="post"):
    wait_until(lambda: states(line, channel) == expected, timeout, f"messages are {expected}",
               explain=lambda: str(line.sql("SELECT channel, state, attempts, error, count(*) FROM outgoing_messages "
                                            "GROUP BY 1, 2, 3, 4")))


def error_of(line):
    return line.value("SELECT error FROM outgoing_messages WHERE channel = 'post'")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_post_is_signed_as_stripes_are(line, receive, host):
    """What Stripe's own client verifies, it verifies of ours; the secret is the one at the time of sending."""
    receiver = receive(host=host)
    alert(line, "acme", url=f"{receiver.url}/hook?x=1", secret="not this one")
    assert add_message(line, "payment_failed", "in_1", "acme", {"amount_minor": 4200, "name": "Grüße \"x\""})
    alert(line, "acme", url=f"{receiver.url}/hook?x=1", secret=SECRET)
    notifier = line.start_notifier(**QUICK).wait_ready()
    wait_states(line, {"sent": 1})
    (path, headers, body), = receiver.posts
    message = json.loads(body)
    assert path == "/hook?x=1" and headers["Content-Type"] == "application/json"
    assert stripe.WebhookSignature.verify_header(body.decode(), headers["Meterline-Signature"], SECRET, 300)
    assert message["data"] == {"amount_minor": 4200, "name": "Grüße \"x\""}
    assert (message["kind"], message["tenant"]) == ("payment_failed", "acme")
    assert message["id"] == headers["Meterline-Message-Id"] == line.value("SELECT DISTINCT message_id FROM outgoing_messages")
    assert abs(message["occurred_at"] - time.time() * 1000) < 60000
    assert SECRET not in notifier.log_tail(500)
    assert notifier.metric("meterline_messages_tried_total", channel="post", outcome="sent") == 1


def test_a_post_is_sent_again_until_it_is_taken(line, receive):
    """Whatever is no 2xx: also what would lead elsewhere."""
    refusals = [500, 404, 302, 429]
    receiver = receive(lambda path, number: refusals[number - 1] if number <= len(refusals) else 204)
    alert(line, "acme", url=f"{receiver.url}/hook", secret=SECRET)
    add_message(line, "milestone_test", "1", "acme", {})
    line.start_notifier(**QUICK).wait_ready()
    wait_states(line, {"sent": 1})
    assert [path for path, _, _ in receiver.posts] == ["/hook"] * 5 and len(set(receiver.ids())) == 1
    assert line.value("SELECT count(*) FROM failing_addresses") == 0


def test_who_is_gone_is_asked_once(line, receive):
    receiver = receive(lambda path, number: 410)
    alert(line, "acme", url=f"{receiver.url}/hook", secret=SECRET)
    add_message(line, "payment_failed", "1", "acme", {})
    notifier = line.start_notifier(**QUICK).wait_ready()
    wait_states(line, {"failed": 1})
    assert error_of(line) == "the receiver answered 410" and len(receiver.posts) == 1
    assert notifier.wait_log("message_failed", channel="post", tenant="acme", kind="payment_failed")


def test_it_is_given_up_in_the_end_with_all_that_wait_for_the_address(line, receive):
    """One message at a time is tried, but all of them fail when their time is over."""
    receiver = receive(lambda path, number: 503)
    alert(line, "acme", url=f"{receiver.url}/hook", secret=SECRET)
    add_messages(line, 50, channel="post", destination=f"{receiver.url}/hook")
    line.start_notifier(**QUICK, NOTIFIER_GIVE_UP_S=2).wait_ready()
    wait_states(line, {"failed": 50}, 30)
    assert len(receiver.posts) < 50
    assert line.value("SELECT count(*) FROM outgoing_messages WHERE error <> 'the receiver answered 503'") == 0


@pytest.mark.parametrize("url, why", [
    ("http://127.0.0.1:{port}/", "the URL does not begin with https://"),
    ("https://127.0.0.1:{port}/", "the address is private or local"),
    ("https://localhost:{port}/", "the address is private or local"),
    ("https://2130706433:{port}/", "the address is private or local"),
    ("https://[::1]:{port}/", "the address is private or local"),
    ("https://[::ffff:127.0.0.1]:{port}/", "the address is private or local"),
    ("https://[64:ff9b::7f00:1]/", "the address is private or local"),
    ("https://169.254.169.254/latest/meta-data/", "the address is private or local"),
    ("ftp://127.0.0.1/", "the URL does not begin with https://"),
    ("https://", None), ("https://a b/", None)])
def test_a_url_does_not_lead_inside(line, url, why):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = url.format(port=listener.getsockname()[1])
        alert(line, "acme", url=url, secret=SECRET)
        add_message(line, "payment_failed", "1", "acme", {})
        line.start_notifier(NOTIFIER_RETRY_FIRST_MS=50).wait_ready()
        wait_states(line, {"failed": 1})
        assert error_of(line) == why if why else error_of(line)
        listener.settimeout(0.1)
        with pytest.raises(TimeoutError):
            listener.accept()


def test_one_dead_address_holds_a_hundred_good_ones_not_up(line, receive):
    """The dead one takes each call and never answers; it has the oldest messages, and the most of them."""
    dead, good = receive(lambda path, number: None), receive()
    alert(line, "dead", url=f"{dead.url}/", secret=SECRET)
    add_messages(line, 500, tenant="dead", channel="post", destination=f"{dead.url}/")
    for number in range(100):
        alert(line, f"good{number}", url=f"{good.url}/{number}", secret=SECRET)
        add_messages(line, 3, 1000 + 3 * number, f"good{number}", "post", f"{good.url}/{number}")
    line.sql("UPDATE outgoing_messages SET next_attempt_at = now() - interval '1 h' WHERE tenant = 'dead'")
    line.start_notifier(**QUICK, NOTIFIER_POST_TIMEOUT_S=3, NOTIFIER_POSTS_IN_FLIGHT=8).wait_ready()
    begun = time.monotonic()
    wait_until(lambda: states(line, "post").get("sent") == 300, 20, "the good ones are served")
    assert time.monotonic() - begun < 3, "they did not wait for the dead one's timeout"
    assert sorted(good.ids()) == [f"msg_{number:032d}" for number in range(1000, 1300)]
    assert len(dead.posts) <= 4
    assert line.value("SELECT count(*) FROM outgoing_messages WHERE tenant = 'dead' AND state = 'waiting'") == 500


def test_what_an_outage_of_a_receiver_delays_is_delivered_after(line, receive):
    receiver = receive()
    url, port = f"{receiver.url}/hook", receiver.port
    alert(line, "acme", url=url, secret=SECRET)
    notifier = line.start_notifier(**QUICK).wait_ready()
    receiver.close()
    add_messages(line, 40, channel="post", destination=url)
    delayed = notifier.wait_log("message_delayed", channel="post")
    assert "onnect" in delayed["msg"], delayed
    wait_until(lambda: line.value("SELECT failures FROM failing_addresses") or 0 > 2, 20, "it failed several times")
    again = receive(port=port)
    wait_states(line, {"sent": 40})
    assert sorted(set(again.ids())) == [f"msg_{number:032d}" for number in range(1, 41)]
    assert len(again.ids()) == 40


def test_what_waits_follows_its_tenant_to_a_new_address(line, receive):
    old, new = receive(lambda path, number: 500), receive()
    alert(line, "acme", url=f"{old.url}/", secret=SECRET)
    add_messages(line, 5, channel="post", destination=f"{old.url}/")
    line.start_notifier(**QUICK).wait_ready()
    wait_until(lambda: old.posts, 20, "the old one is tried")
    alert(line, "acme", url=f"{new.url}/", secret=SECRET)
    wait_states(line, {"sent": 5})
    assert len(set(new.ids())) == 5
    add_messages(line, 1, 9, channel="post", destination=f"{new.url}/")
    alert(line, "beta", url=f"{old.url}/", secret=SECRET)
    add_messages(line, 1, 10, "beta", "post", f"{old.url}/")
    line.sql("DELETE FROM alert_settings WHERE tenant = 'beta'")
    wait_until(lambda: states(line, "post") == {"sent": 6, "failed": 1}, 20, "there is nobody to tell")


def test_a_storm_of_kills_posts_each_message_at_least_once(line, receive):
    receiver = receive()
    for number in range(20):
        alert(line, f"t{number}", url=f"{receiver.url}/{number}", secret=SECRET)
        add_messages(line, 20, 1 + 20 * number, f"t{number}", "post", f"{receiver.url}/{number}")
    running = [line.start_notifier(**QUICK) for _ in range(2)]
    for kill in range(6):
        wait_until(lambda: len(receiver.posts) > 40 * kill, 20, "some are posted")
        running[kill % 2].kill9()
        running[kill % 2] = line.start_notifier(**QUICK)
        line.sql("UPDATE outgoing_messages SET lease_until = now() WHERE state = 'waiting'")
    wait_until(lambda: (line.sql("UPDATE outgoing_messages SET lease_until = NULL WHERE state = 'waiting' "
                                 "AND lease_until < now() + interval '25 s'"),
                        states(line, "post") == {"sent": 400})[1], 30, "all are sent")
    assert set(receiver.ids()) == {f"msg_{number:032d}" for number in range(1, 401)}
    assert len(receiver.ids()) < 600


def test_a_stop_waits_for_what_is_in_flight(line, receive):
    release = threading.Event()

    def slow(path, number):
        release.wait(10)
        return 200
    receiver = receive(slow)
    alert(line, "acme", url=f"{receiver.url}/", secret=SECRET)
    add_messages(line, 1, channel="post", destination=f"{receiver.url}/")
    notifier = line.start_notifier(**QUICK).wait_ready()
    wait_until(lambda: receiver.posts, 20, "it is in flight")
    threading.Timer(0.5, release.set).start()
    notifier.term()
    assert states(line, "post") == {"sent": 1} and len(receiver.posts) == 1


def test_the_examples_of_the_page_tell_a_right_signature_from_a_wrong_one(line, receive, tmp_path):
    receiver = receive()
    alert(line, "acme", url=f"{receiver.url}/", secret=SECRET)
    add_message(line, "payment_failed", "1", "acme", {"name": "Grüße"})
    line.start_notifier(**QUICK).wait_ready()
    wait_states(line, {"sent": 1})
    (_, headers, body), = receiver.posts
    code = {block.language: block.text for block in blocks_for("tests/e2e/test_posts.py")}
    (tmp_path / "body").write_bytes(body)
    (tmp_path / "example.js").write_text(code["js"] + "\nconst e = process.env;\nconst ok = isFromMeterline(e.SECRET, e.SIGNATURE, "
                                         "require('fs').readFileSync('body'));\nprocess.exit(ok ? 0 : 1);\n")
    (tmp_path / "example.py").write_text(code["python"] + "\nimport os\nok = is_from_meterline(os.environ['SECRET'], "
                                         "os.environ['SIGNATURE'], open('body', 'rb').read())\nraise SystemExit(0 if ok else 1)\n")
    (tmp_path / "example.sh").write_text(code["sh"])
    signature = headers["Meterline-Signature"]
    for program, name in (("/usr/bin/python3", "example.py"), ("node", "example.js"), ("bash", "example.sh")):
        for secret, given, expected in ((SECRET, signature, 0), ("another", signature, 1),
                                        (SECRET, signature[:-1] + ("0" if signature[-1] != "0" else "1"), 1)):
            done = subprocess.run([program, name], cwd=tmp_path, check=False, capture_output=True,
                                  env={"PATH": "/usr/bin:/bin:/usr/local/bin", "SECRET": secret, "SIGNATURE": given})
            assert done.returncode == expected, (name, secret, done.stderr)
