"""Mail, by a real mail server: what it says, TLS and login, refusals, outages."""

import time

import pytest

from line.wait import wait_until
from support.mail_server import PASSWORD, MailServer, make_certificate
from support.outbox import add_message, add_messages, alert, states

FROM = "Example Billing <billing@example.com>"
QUICK = {"SMTP_FROM": FROM, "NOTIFIER_RETRY_FIRST_MS": 50, "NOTIFIER_RETRY_MAX_S": 1}
PAYMENT = {"amount_minor": 4200, "currency": "eur", "number": "A-1", "attempt": 2, "next_attempt_at": None}


@pytest.fixture(name="serve")
def serve_fixture():
    opened = []

    def serve(*args, **options):
        opened.append(MailServer(*args, **options))
        return opened[-1]
    yield serve
    for server in opened:
        server.close()


def wait_states(line, expected, timeout=20):
    wait_until(lambda: states(line, "mail") == expected, timeout, f"messages are {expected}",
               explain=lambda: f"{states(line, 'mail')} {error_of(line)}\n{line.log_tails()}")


def error_of(line):
    return line.value("SELECT error FROM outgoing_messages WHERE channel = 'mail' ORDER BY message_id LIMIT 1")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_mail_says_what_happened_and_what_to_do(line, serve, host):
    server = serve(host=host)
    alert(line, "acme & söhne", email="ops@acme.example")
    add_message(line, "payment_failed", "in_1", "acme & söhne", PAYMENT | {"note": "<b>Größe</b>"})
    line.start_notifier(**QUICK, SMTP_URL=server.url).wait_ready()
    wait_states(line, {"sent": 1})
    (sender, recipients, mail), = server.mails
    message_id = line.value("SELECT DISTINCT message_id FROM outgoing_messages")
    assert (sender, recipients) == ("billing@example.com", ["ops@acme.example"])
    assert mail["Subject"] == "A payment of 42.00 EUR failed" and mail["From"] == FROM
    assert mail["Message-ID"] == f"<{message_id}@example.com>" and mail["Auto-Submitted"] == "auto-generated"
    assert abs(mail["Date"].datetime.timestamp() - time.time()) < 60
    assert mail.get_content_type() == "multipart/alternative" and not mail.defects
    plain, html = (mail.get_body([kind]).get_content() for kind in ("plain", "html"))
    assert "We could not collect 42.00 EUR for invoice A-1 (attempt 2)." in plain
    assert "Please check your payment method. The next attempt is at: none." in plain
    assert "note: <b>Größe</b>" in plain and "tenant: acme & söhne" in plain and message_id in plain
    assert "&lt;b&gt;Größe&lt;/b&gt;" in html and "acme &amp; söhne" in html and "<b>" not in html


def test_a_value_adds_no_header_and_a_subject_keeps_its_letters(line, serve):
    server = serve()
    alert(line, "acme", email="ops@acme.example")
    metric = "Überraschungsgüter 日本語\r\nBcc: all@example.com\r\n\r\nx"
    add_message(line, "quota_threshold", "1", "acme", {"threshold_percent": 80, "metric": metric, "used": "8.5", "limit": "10"})
    line.start_notifier(**QUICK, SMTP_URL=server.url).wait_ready()
    wait_states(line, {"sent": 1})
    (_, recipients, mail), = server.mails
    assert recipients == ["ops@acme.example"] and mail["Bcc"] is None
    assert mail["Subject"].split() == "80 % of your Überraschungsgüter 日本語 Bcc: all@example.com x are used".split()


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # TLS from the start is TLS, too.
@pytest.mark.parametrize("implicit", [False, True])
def test_tls_and_login(line, serve, implicit):
    certificate = make_certificate(line.folder, "127.0.0.1", "localhost")
    server = serve(certificate=certificate, implicit=implicit, login=True)
    alert(line, "acme", email="ops@acme.example")
    add_message(line, "payment_failed", "1", "acme", PAYMENT)
    secret = line.folder / "smtp_password"
    secret.write_text(PASSWORD + "\n")
    notifier = line.start_notifier(**QUICK, SMTP_URL=server.url, SMTP_PASSWORD_FILE=secret,
                                   SMTP_CA_FILE=certificate[0]).wait_ready()
    wait_states(line, {"sent": 1})
    assert server.logins == 1 and PASSWORD not in notifier.log_tail(500)
    # More mail takes the same connection.
    add_messages(line, 5, channel="mail", destination="ops@acme.example")
    wait_states(line, {"sent": 6})
    assert server.logins <= 4


def test_a_certificate_of_somebody_else_gets_nothing(line, serve):
    server = serve(certificate=make_certificate(line.folder, "mail.example.com"))
    alert(line, "acme", email="ops@acme.example")
    add_message(line, "payment_failed", "1", "acme", PAYMENT)
    notifier = line.start_notifier(**QUICK, SMTP_URL=server.url, SMTP_CA_FILE=line.folder / "mail.pem").wait_ready()
    lost = notifier.wait_log("peer_lost", peer="smtp")
    assert "certificate" in lost["msg"] or "SSL" in lost["msg"], lost
    status, text = notifier.get("/readyz")
    assert status == 200 and "smtp: not connected: " in text, text
    assert states(line, "mail") == {"waiting": 1} and not server.mails


def test_a_wrong_password_delays_all_mail_and_says_so(line, serve):
    server = serve(certificate=make_certificate(line.folder, "127.0.0.1"), login=True)
    alert(line, "acme", email="ops@acme.example")
    add_message(line, "payment_failed", "1", "acme", PAYMENT)
    notifier = line.start_notifier(**QUICK, SMTP_URL=server.url, SMTP_PASSWORD="wrong",
                                   SMTP_CA_FILE=line.folder / "mail.pem").wait_ready()
    assert "535" in notifier.wait_log("peer_lost", peer="smtp")["msg"]
    assert states(line, "mail") == {"waiting": 1}
    assert notifier.metric("meterline_peer_up", peer="smtp") == 0


def test_another_machine_must_have_tls(line):
    """Not on the loopback, mail goes out in plain text only if somebody said so."""
    for settings, code in (({"SMTP_URL": "smtp://mail.example.com"}, 2), ({"SMTP_URL": "http://mail.example.com"}, 2),
                           ({"SMTP_URL": "smtp://mail.example.com", "SMTP_FROM": "a b"}, 2),
                           ({"SMTP_URL": "smtp://x", "SMTP_FROM": FROM, "SMTP_PASSWORD": "p"}, 2),
                           ({"SMTP_URL": "smtp://u@x", "SMTP_FROM": FROM, "SMTP_PASSWORD": "p"}, 0)):
        done = line.run("notifier", "--print-config", **settings)
        assert done.returncode == code, (settings, done.stderr)
    assert "SMTP_PASSWORD=***" in done.stdout


def test_a_server_without_starttls_elsewhere_gets_nothing(line, serve):
    server = serve(host="127.0.0.2")
    alert(line, "acme", email="ops@acme.example")
    add_message(line, "payment_failed", "1", "acme", PAYMENT)
    # A name that is not the loopback's by itself, though it leads there.
    url = f"smtp://2130706434:{server.port}"
    notifier = line.start_notifier(**QUICK, SMTP_URL=url).wait_ready()
    lost = notifier.wait_log("peer_lost", peer="smtp")
    assert "STARTTLS" in lost["msg"], lost
    assert not server.mails
    notifier.term()
    line.start_notifier(**QUICK, SMTP_URL=url, SMTP_PLAIN=1).wait_ready()
    wait_states(line, {"sent": 1})


def test_refusals(line, serve):
    """5xx to an address is for good, 4xx passes; neither holds up what goes elsewhere."""
    replies = {("RCPT", "gone@acme.example", 1): "550 5.1.1 no such user",
               ("RCPT", "later@acme.example", 1): "450 4.2.0 greylisted",
               ("RCPT", "later@acme.example", 2): "450 4.2.0 greylisted",
               ("DATA", "spam@acme.example", 1): "554 5.7.1 not wanted",
               ("DATA", "busy@acme.example", 1): "451 4.3.0 later"}
    server = serve(lambda *place: replies.get(place))
    for number, name in enumerate(("gone", "later", "spam", "busy", "good")):
        alert(line, name, email=f"{name}@acme.example")
        add_messages(line, 1, number, name, "mail", f"{name}@acme.example")
    notifier = line.start_notifier(**QUICK, SMTP_URL=server.url).wait_ready()
    wait_states(line, {"sent": 3, "failed": 2})
    errors = dict(line.sql("SELECT tenant, error FROM outgoing_messages WHERE state = 'failed'"))
    assert "550 5.1.1 no such user" in errors["gone"] and "554 5.7.1 not wanted" in errors["spam"]
    assert dict(line.sql("SELECT tenant, attempts FROM outgoing_messages")) == {
        "gone": 1, "later": 3, "spam": 1, "busy": 2, "good": 1}
    assert not notifier.logs("peer_lost", peer="smtp")


def test_what_an_outage_delays_is_sent_after_and_once(line, serve):
    server = serve()
    port = server.port
    alert(line, "acme", email="ops@acme.example")
    notifier = line.start_notifier(**QUICK, SMTP_URL=server.url).wait_ready()
    server.close()
    add_messages(line, 10, channel="mail", destination="ops@acme.example")
    notifier.wait_log("peer_lost", peer="smtp")
    time.sleep(1)
    again = serve(port=port)
    wait_states(line, {"sent": 10})
    assert sorted(again.ids()) == [f"<msg_{number:032d}@example.com>" for number in range(1, 11)]
    assert notifier.wait_log("peer_back", peer="smtp")


def test_it_is_given_up_in_the_end(line, serve):
    server = serve(lambda step, text, number: "451 4.3.0 later" if step == "RCPT" else None)
    alert(line, "acme", email="ops@acme.example")
    add_message(line, "payment_failed", "1", "acme", PAYMENT)
    notifier = line.start_notifier(**QUICK, SMTP_URL=server.url, NOTIFIER_GIVE_UP_S=1).wait_ready()
    wait_states(line, {"failed": 1})
    assert "451 4.3.0 later" in error_of(line) and notifier.wait_log("message_failed", channel="mail")


def test_without_a_mail_server_mail_waits_and_says_why(line):
    alert(line, "acme", email="ops@acme.example")
    add_message(line, "payment_failed", "1", "acme", PAYMENT)
    notifier = line.start_notifier().wait_ready()
    assert notifier.wait_log("message_delayed", channel="mail")["msg"] == "SMTP_URL is not set"
    wait_until(lambda: states(line, "signal") == {"sent": 1}, 20, "the signal is sent")
    assert states(line, "mail") == {"waiting": 1}


def test_internal_affairs_are_no_tenants(line):
    alert(line, "acme", email="ops@acme.example", url="https://acme.example/", secret="s")
    for kind in ("mrr_update", "usage_not_invoiced", "dispute_opened"):
        add_message(line, kind, "1", "acme", {})
    assert line.sql("SELECT DISTINCT channel FROM outgoing_messages") == [("signal",)]
    assert add_message(line, "trial_ending", "1", "acme", {})
    assert line.value("SELECT count(*) FROM outgoing_messages WHERE kind = 'trial_ending'") == 3


def test_a_kill_between_mail_and_note_sends_it_again_under_its_id(line, serve):
    server = serve()
    alert(line, "acme", email="ops@acme.example")
    add_messages(line, 1, channel="mail", destination="ops@acme.example")
    notifier = line.start_notifier(**QUICK, SMTP_URL=server.url, METERLINE_TEST_CRASH="message_sent")
    assert notifier.wait_exit() == -9
    line.sql("UPDATE outgoing_messages SET lease_until = now()")
    line.start_notifier(**QUICK, SMTP_URL=server.url).wait_ready()
    wait_states(line, {"sent": 1})
    assert len(server.ids()) == 2 and len(set(server.ids())) == 1
