"""meterctl alerts: whom a tenant's messages go to, and at which usage it is told."""

import json

import pytest


def settings(line, tenant="acme"):
    return json.loads(line.must("meterctl", "alerts", "show", tenant, "--json").stdout)[0]


def set_alerts(line, *args):
    return json.loads(line.must("meterctl", "alerts", "set", "acme", "--new", "--json", *args).stdout)["secret"]


def test_what_is_left_out_stays_and_none_takes_away(line):
    assert "no tenant has settings of its own" in line.must("meterctl", "alerts", "show").stdout
    assert set_alerts(line, "--email", "billing@example.com", "--thresholds", "50,90") is None
    secret = set_alerts(line, "--url", "https://example.com/hook")
    assert secret.startswith("mlsec_") and len(secret) == 54
    assert set_alerts(line, "--url", "https://example.com/hook", "--email", "billing@example.com") is None, "the secret stays"
    other = set_alerts(line, "--url", "https://example.com/other")
    assert other not in (None, secret), "a secret goes with its URL"
    shown = settings(line)
    assert (shown["email"], shown["url"], shown["thresholds"], shown["has_secret"]) == (
        "billing@example.com", "https://example.com/other", "50,90", True)
    assert other not in json.dumps(shown)
    assert line.value("SELECT post_secret FROM alert_settings") == other
    another = set_alerts(line, "--new-secret")
    assert another not in (None, secret, other)
    set_alerts(line, "--url", "none", "--thresholds", "none")
    shown = settings(line)
    assert (shown.get("url"), shown["thresholds"], shown["own_thresholds"]) == (None, "80,100,120", False)
    assert line.value("SELECT post_secret FROM alert_settings") is None
    assert set_alerts(line, "--url", "https://example.com/hook") not in (None, secret, another)


@pytest.mark.parametrize("args, named", [
    ((), "--email"), (("--email", "nobody"), "--email"), (("--email", "a b@example.com"), "--email"),
    (("--email", "<a@example.com>"), "--email"), (("--email", "a,b@example.com"), "--email"), (("--email", 'a"@example.com'), "--email"),
    (("--url", "ftp://example.com"), "--url"), (("--url", "https://"), "--url"), (("--thresholds", "80,80"), "--thresholds"),
    (("--thresholds", "0"), "--thresholds"), (("--thresholds", "80,"), "--thresholds"), (("--thresholds", "1e2"), "--thresholds")])
def test_what_is_no_setting_is_refused(line, args, named):
    done = line.meterctl("alerts", "set", "acme", "--new", *args)
    assert done.returncode == 2 and named in done.stderr


def test_a_name_that_nobody_has_is_told(line):
    done = line.meterctl("alerts", "set", "acme", "--email", "a@example.com")
    assert done.returncode == 1 and "--new" in done.stderr


def test_a_password_in_the_url_is_not_shown(line):
    set_alerts(line, "--url", "https://user:pass@example.com/hook")
    for args in (("show",), ("show", "acme", "--json"), ("show", "acme", "--wide"), ("test", "acme"), ("test", "acme", "--json")):
        shown = line.must("meterctl", "alerts", *args).stdout
        assert "https://user:***@example.com/hook" in shown and "pass" not in shown, args
    assert line.value("SELECT post_url FROM alert_settings") == "https://user:pass@example.com/hook"


def test_a_test_message_goes_all_ways(line):
    line.must("meterctl", "alerts", "set", "acme", "--new", "--email", "a@example.com", "--url", "https://example.com/hook")
    for _ in range(2):
        ways = json.loads(line.must("meterctl", "alerts", "test", "acme", "--json").stdout)
        assert ways == [{"channel": "signal", "destination": "billing:signals"}, {"channel": "mail", "destination": "a@example.com"},
                        {"channel": "post", "destination": "https://example.com/hook"}]
    assert line.value("SELECT count(DISTINCT message_id) FROM outgoing_messages WHERE kind = 'test' AND tenant = 'acme'") == 2
    assert line.value("SELECT count(*) FROM outgoing_messages WHERE channel = 'mail'") == 2
