"""meterctl audit: books that balance and wait for a person are not `ok`, and say for what."""

import json

import pytest

from support.sink import add_tenants, count, once


def audit(line, *args):
    done = line.meterctl("audit", *args)
    return done.returncode, done.stdout.splitlines()[-1]


def lose(line, lost, stream="usage:events", epoch=1):
    """An epoch that ended so."""
    line.sql("INSERT INTO stream_epochs (stream, epoch, token, last_id, added, counted, duplicates, rejected, "
             "conflicts, lost, reason) VALUES (%s, %s, gen_random_uuid(), '0-0', %s, 0, 0, 0, 0, %s, 'lost')",
             stream, epoch, lost, lost)


def test_lost_entries_until_a_person_knows_of_them(line):
    assert audit(line) == (0, "audit ok")
    lose(line, 100)
    assert audit(line) == (4, "audit balanced, attention: lost=100")
    report = json.loads(line.meterctl("audit", "--json").stdout)
    assert report["result"] == "attention" and report["attention"] == {"lost": 100}
    asked = line.meterctl("lost", "accept")
    assert asked.returncode == 1 and "lost=100 accepted=0" in asked.stdout and "--yes" in asked.stderr
    assert audit(line)[0] == 4
    assert line.must("meterctl", "lost", "accept", "--yes").stdout == \
        "accepted stream=usage:events epoch=1 lost=100\n"
    assert audit(line) == (0, "audit ok")
    listed = json.loads(line.must("meterctl", "lost", "list", "--json").stdout)
    assert [(row["lost"], row["accepted"]) for row in listed] == [(100, 100)]
    assert listed[0]["accepted_by"] == line.value("SELECT session_user")
    assert "nothing to accept" in line.must("meterctl", "lost", "accept").stdout


def test_what_is_lost_later_is_asked_for_anew(line):
    lose(line, 100)
    line.must("meterctl", "lost", "accept", "--yes")
    line.sql("UPDATE stream_epochs SET lost = 130, added = 130")
    lose(line, 5, epoch=2)
    assert audit(line) == (4, "audit balanced, attention: lost=35")
    line.must("meterctl", "lost", "accept", "--yes")
    assert audit(line) == (0, "audit ok")


def test_an_accepted_restore_accepts_what_it_lost(line):
    lose(line, 7)
    line.sql("SELECT hold_sinks()")
    assert audit(line) == (4, "audit balanced, attention: lost=7 sink_hold=1")
    line.must("meterctl", "restore", "accept", "--yes")
    assert audit(line) == (0, "audit ok")


@pytest.mark.parametrize("state, extra", [("failed", ""), ("in_doubt", ""), ("late", ""), ("late", "drop")])
def test_units_that_wait_for_a_person(shop, state, extra):
    """Units that take each other back wait both of them."""
    add_tenants(shop, "acme", "zen")
    count(shop, "acme", "api_calls", "13280")
    count(shop, "zen", "api_calls", "20")
    once(shop)
    count(shop, "zen", "api_calls", "0")
    once(shop)
    shop.sql("UPDATE usage_submissions SET state = %s, sent_at = NULL, last_error = 'no such meter', decision = %s, "
             "decided_at = now()", state, extra or None)
    done = shop.meterctl("audit")
    assert "audit billing metric=api_calls" in done.stdout
    line = done.stdout.splitlines()[-1]
    told = line.removeprefix("audit unbalanced")     # Totals without minutes: see count().
    waits = [each for each in done.stdout.splitlines() if each.startswith("audit attention")]
    assert told == "" and waits == ([] if extra else [f"audit attention {state}=13320"])


def test_it_is_documented(line):
    assert "4  balanced but something waits for a person" in line.must("meterctl", "--help").stdout
    assert "audit balanced, attention: lost=100 failed=13280" in line.must("meterctl", "audit", "--help").stdout


def attention(line):
    return json.loads(line.meterctl("audit", "--json").stdout)["attention"]


def test_what_a_subscriber_uses_without_a_place_at_stripe(shop):
    """A tenant without a subscription is free, and so is what one used before it began; a subscriber pays."""
    count(shop, "free", "api_calls", "50")
    assert attention(shop) == {}
    shop.sql("""INSERT INTO subscriptions (stripe_subscription_id, tenant, stripe_customer_id, status,
                    current_period_start, current_period_end, billing_cycle_anchor, started_at)
                SELECT 'sub_1', 'payer', 'cus_1', 'active', s, s + interval '1 month', s, s
                  FROM (SELECT date_trunc('minute', now()) - interval '1 day' AS s) x""")
    count(shop, "payer", "api_calls", "70")
    assert attention(shop) == {"unmapped": "70"}
    shop.sql("UPDATE subscriptions SET status = 'canceled'")
    assert attention(shop) == {}
