"""meterctl submissions and late: what was handed to Stripe can be seen, given back, and decided on."""

import json

import pytest

from support.retention import age, apply as apply_retention, outcomes
from support.sink import EVENTS, add, add_tenants, count, once, states, total


def ctl(line, *args, code=0):
    done = line.meterctl(*args)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def listed(line, *args):
    return json.loads(ctl(line, "submissions", "list", "--json", *args).stdout)


def identifiers(line, where="true"):
    return [row.identifier for row in line.sql(
        f"SELECT identifier FROM usage_submissions WHERE {where} ORDER BY tenant, claim")]


def requests(line):
    return {(row.tenant, row.kind) for row in line.sql("SELECT tenant, kind FROM sink_requests")}


def state_of(line, identifier):
    return line.value("SELECT state FROM usage_submissions WHERE identifier = %s", identifier)


# list and show

def test_list_and_show(shop):
    add_tenants(shop, "acme", "zen")
    count(shop, "acme", "api_calls", "5")
    count(shop, "zen", "llm_tokens", "7.5")
    count(shop, "acme", "llm_tokens", "9", at="now() - interval '2 months'")
    once(shop)
    assert "llm_tokens" in ctl(shop, "submissions", "list").stdout
    shop.sql("UPDATE usage_submissions SET created_at = now() - interval '3 days' WHERE tenant = 'zen'")
    shop.sql("UPDATE usage_submissions SET state = 'failed' WHERE tenant = 'zen'")
    every = {row["identifier"] for row in listed(shop)}
    assert every == set(identifiers(shop)) and len(every) == 2 + (shop.value(
        "SELECT count(*) FROM usage_submissions WHERE usage_at < now() - interval '1 month'"))
    this_month = {("acme", "api_calls"), ("zen", "llm_tokens")}
    for args, found in ((["--state", "failed"], {("zen", "llm_tokens")}),
                        (["--tenant=acme", "--metric", "api_calls"], {("acme", "api_calls")}),
                        (["--since", "2d", "--metric", "llm_tokens", "--period", "current"], set()),
                        (["--period", "current"], this_month), (["--period", "1h"], this_month),
                        (["--period", "2001-01-01"], set())):
        assert {(row["tenant"], row["metric"]) for row in listed(shop, *args)} == found, args
    assert len(listed(shop, "--limit", "1")) == 1 and "body" not in listed(shop)[0]
    row = shop.sql("SELECT * FROM usage_submissions WHERE tenant = 'zen'")[0]
    shown = json.loads(ctl(shop, "submissions", "show", row.identifier, "--json").stdout)
    assert shown["body"] == row.body and shown["request_id"] == row.request_id
    assert shown["quantity"] == "7" and shown["attempts"] == 1 and shown["carried"] is False
    assert "retry" in shown["meaning"]
    text = ctl(shop, "submissions", "show", row.identifier).stdout
    assert row.body in text and row.identifier in text
    assert "no submission ml-x" in ctl(shop, "submissions", "show", "ml-x", code=1).stderr
    assert "no such submissions" in ctl(shop, "submissions", "list", "--tenant", "acme", "--state", "void").stdout


def test_of_one_in_doubt_its_readings_are_shown(line):
    add(line, "ml-1", "in_doubt", doubt_quantity="2.5", owner="sink-7", last_error="no answer")
    shown = json.loads(ctl(line, "submissions", "show", "ml-1", "--json").stdout)
    assert (shown["doubt_quantity"], shown["owner"], shown["last_error"]) == ("2.5", "sink-7", "no answer")
    assert "reconcil" in shown["meaning"]


def test_a_carried_one_is_of_its_own_period(line):
    """Its minute lies in the current period, what it counts for does not."""
    add(line, "ml-1", "sent", carried=True)
    line.sql("UPDATE usage_submissions SET period_start = period_start - interval '1 month'")
    line.sql("INSERT INTO usage_totals (tenant, metric, period_start, period_end, quantity, version, last_ms, last_entry) "
             "SELECT 'acme', 'api_calls', p.period_start, p.period_end, 5, 1, 0, '' FROM generate_series(0, 1) i, "
             "billing_period('acme', now() - make_interval(months => i)) p")
    before = line.value("SELECT to_char(now() - interval '1 month', 'YYYY-MM-DD')")
    assert [row["identifier"] for row in listed(line, "--period", before)] == ["ml-1"]
    assert listed(line, "--period", "current") == []


@pytest.mark.parametrize("args", [
    ["list", "--state", "gone"], ["list", "--limit", "0"], ["list", "--since", "soon"], ["list", "ml-1"],
    ["list", "--period", "whenever"], ["show"], ["show", "a", "b"], ["retry"], ["retry", "--state", "in_doubt"],
    ["retry", "--tenant", "acme"], ["retry", "ml-1", "--state", "failed"], ["retry", "ml-1", "--tenant", "acme"]])
def test_wrong_usage(line, args):
    assert line.meterctl("submissions", *args).returncode == 2


# retry

def test_what_was_refused_is_claimed_anew_and_billed_once(shop):
    add_tenants(shop, "acme")
    count(shop, "acme", "llm_tokens", "5")
    shop.sandbox.fault("status", path=EVENTS, status=400, times=1)
    once(shop)
    failed = identifiers(shop)[0]
    count(shop, "acme", "llm_tokens", "7")
    once(shop)
    assert total(shop, "acme", "llm_tokens") == 2 and states(shop) == {"failed": 1, "sent": 1}
    done = ctl(shop, "submissions", "retry", failed, failed)
    assert "retried 1 submissions" in done.stdout and requests(shop) == {("acme", "settle")}
    row = shop.sql("SELECT state, last_error FROM usage_submissions WHERE identifier = %s", failed)[0]
    assert row.state == "void" and "given back by hand: HTTP 400" in row.last_error
    once(shop)
    assert total(shop, "acme", "llm_tokens") == 7 and states(shop) == {"void": 1, "sent": 2}
    assert len(set(identifiers(shop))) == 3
    assert "void" in ctl(shop, "submissions", "retry", failed, code=1).stdout
    once(shop)
    assert total(shop, "acme", "llm_tokens") == 7


def test_nothing_that_stripe_may_hold_is_retried(line):
    for n, state in enumerate(["pending", "sending", "sent", "held", "in_doubt", "late", "void"]):
        add(line, f"ml-{state}", state, minutes=n)
    before = line.sql("SELECT * FROM usage_submissions ORDER BY identifier")
    done = ctl(line, "submissions", "retry", *identifiers(line), "ml-x", code=1)
    assert "no submission ml-x" in done.stderr and "retried 0 submissions\n" in done.stdout
    skipped = {text.split()[1]: text for text in done.stdout.splitlines() if text.startswith("skipped")}
    assert set(skipped) == {row.identifier for row in before}
    assert "meterctl reconcile" in skipped["ml-in_doubt"] and "late carry" in skipped["ml-late"]
    assert line.sql("SELECT * FROM usage_submissions ORDER BY identifier") == before and not requests(line)
    add(line, "ml-part", doubt_quantity=3, minutes=9)
    assert "hold 3 of its minute" in ctl(line, "submissions", "retry", "ml-part", code=1).stdout
    ctl(line, "submissions", "retry", "--state", "failed", "--yes")
    assert state_of(line, "ml-part") == "failed"
    ctl(line, "submissions", "retry", "ml-part", "--anyway")
    assert state_of(line, "ml-part") == "void"


def test_all_that_failed_needs_a_yes(line):
    for n, tenant in enumerate(["acme", "acme", "zen"]):
        add(line, f"ml-{n}", tenant=tenant, minutes=n)
    add(line, "ml-sent", "sent", minutes=5)
    done = ctl(line, "submissions", "retry", "--state", "failed", code=1)
    assert "--yes to change 3 of these 3" in done.stderr and not requests(line)
    assert len(identifiers(line, "state = 'failed'")) == 3
    ctl(line, "submissions", "retry", "--state=failed", "--tenant", "acme", "--yes")
    assert identifiers(line, "state = 'failed'") == ["ml-2"] and requests(line) == {("acme", "settle")}
    assert "retried 1" in ctl(line, "submissions", "retry", "--state", "failed", "--yes").stdout
    assert "no submission has failed" in ctl(line, "submissions", "retry", "--state", "failed", "--yes").stdout
    assert "no submission has failed" in ctl(line, "submissions", "retry", "--state", "failed").stdout
    assert state_of(line, "ml-sent") == "sent"


# late

def decisions(line):
    return {row.identifier: row.decision for row in line.sql(
        "SELECT identifier, decision FROM usage_submissions WHERE state = 'late'")}


def history(line):
    return [(row.tenant, row.kind, row.object_id, row.detail["quantity"], row.detail["metric"]) for row in line.sql(
        "SELECT tenant, kind, object_id, detail FROM billing_history ORDER BY history_id")]


def test_a_person_decides_and_it_is_noted(line):
    for n in range(4):
        add(line, f"ml-{n}", "late", quantity="2.50", minutes=n)
    add(line, "ml-sent", "sent", minutes=9)
    ctl(line, "late", "carry", "ml-0", "ml-1")
    ctl(line, "late", "drop", "ml-1", "ml-2")      # Until the sink has acted one may think again.
    assert decisions(line) == {"ml-0": "carry", "ml-1": "drop", "ml-2": "drop", "ml-3": None}
    assert line.value("SELECT count(*) FROM usage_submissions WHERE decided_at IS NOT NULL") == 3
    assert history(line) == [("acme", f"late_{kind}", f"ml-{n}", "2.5", "api_calls") for kind, n in
                             (("carried", 0), ("carried", 1), ("dropped", 1), ("dropped", 2))]
    assert line.value("SELECT detail ? 'period_start' FROM billing_history LIMIT 1")
    assert requests(line) == {("acme", "settle")}
    ctl(line, "late", "carry", "ml-2")
    assert decisions(line)["ml-2"] == "carry"
    done = ctl(line, "late", "drop", "ml-1", "ml-sent", "ml-x", code=1)
    assert "already decided" in done.stdout and "ml-sent state=sent" in done.stdout
    assert "no submission ml-x" in done.stderr and "dropped 0" in done.stdout
    assert len(history(line)) == 5 and state_of(line, "ml-sent") == "sent"
    rows = {row["identifier"]: row for row in json.loads(ctl(line, "late", "list", "--json").stdout)}
    assert {name: row.get("decision") for name, row in rows.items()} == decisions(line)
    text = ctl(line, "late", "list", "--tenant", "acme").stdout
    assert "ml-3" in text and "carry" in text and "ml-sent" not in text
    add(line, "ml-zen", "sent", tenant="zen")
    assert "nothing is late" in ctl(line, "late", "list", "--tenant", "zen").stdout


def test_by_filter_just_what_waits_is_decided_and_needs_a_yes(line):
    for n, tenant in enumerate(["acme", "acme", "zen"]):
        add(line, f"ml-{n}", "late", tenant=tenant, minutes=n)
    ctl(line, "late", "drop", "ml-0")
    for args in (["--tenant", "acme"], ["--all"]):
        assert "--yes" in ctl(line, "late", "carry", *args, code=1).stderr
    assert decisions(line) == {"ml-0": "drop", "ml-1": None, "ml-2": None} and len(history(line)) == 1
    ctl(line, "late", "carry", "--tenant", "acme", "--yes")
    assert decisions(line) == {"ml-0": "drop", "ml-1": "carry", "ml-2": None}
    assert "dropped 1" in ctl(line, "late", "drop", "--all", "--yes").stdout
    assert decisions(line) == {"ml-0": "drop", "ml-1": "carry", "ml-2": "drop"}
    for args in (["--all"], ["--all", "--yes"], ["--tenant", "zen", "--yes"]):
        assert ctl(line, "late", "drop", *args).stdout == "nothing late is left to decide on\n"


def test_carrying_over_warns_where_no_invoice_would_take_it(line):
    add(line, "ml-0", "late")
    assert "warning: tenant acme has no subscription" in ctl(line, "late", "carry", "ml-0").stdout
    line.sql("INSERT INTO subscriptions (stripe_subscription_id, tenant, stripe_customer_id, status, "
             "current_period_start, current_period_end, billing_cycle_anchor, started_at) VALUES ('sub_1', 'zen', "
             "'cus_zen', 'active', now() - interval '9 d', now() + interval '9 d', now() - interval '9 d', "
             "now() - interval '9 d')")
    add(line, "ml-1", "late", tenant="zen")
    assert "warning" not in ctl(line, "late", "carry", "ml-1").stdout
    ctl(line, "late", "drop", "ml-0")


@pytest.mark.parametrize("aggregation", ["max", "last", "unique"])
def test_a_value_that_replaces_another_is_not_carried_over(line, aggregation):
    """It would replace the current one. It may be dropped, also after an older build had it carried over."""
    line.sql("UPDATE metrics SET aggregation = %s, carry = false WHERE metric = 'user_seats'", aggregation)
    for n, metric in enumerate(["user_seats", "user_seats", "api_calls"]):
        add(line, f"ml-{n}", "late", metric=metric, minutes=n)
    done = ctl(line, "late", "carry", "ml-0", code=1)
    assert "skipped ml-0" in done.stdout and "user_seats" in done.stdout and "carried 0 submissions\n" in done.stdout
    assert "warning" not in done.stdout and not requests(line) and not history(line)
    assert "--yes to change 1 of these 3" in ctl(line, "late", "carry", "--all", code=1).stderr
    done = ctl(line, "late", "carry", "--all", "--yes")
    assert "skipped ml-0" in done.stdout and "skipped ml-1" in done.stdout and "carried 1" in done.stdout
    assert decisions(line) == {"ml-0": None, "ml-1": None, "ml-2": "carry"}
    line.sql("UPDATE usage_submissions SET decision = 'carry' WHERE identifier = 'ml-1'")
    assert "ml-1" in ctl(line, "late", "carry", "ml-1", code=1).stdout
    ctl(line, "late", "drop", "ml-0", "ml-1")
    assert decisions(line) == {"ml-0": "drop", "ml-1": "drop", "ml-2": "carry"}


@pytest.mark.parametrize("args", [["carry"], ["drop", "ml-1", "--all"], ["carry", "--all", "--tenant", "acme"],
                                  ["drop", "--yes"], ["list", "ml-1"], ["list", "--state", "late"]])
def test_wrong_usage_of_late(line, args):
    assert line.meterctl("late", *args).returncode == 2


def test_what_was_dropped_needs_its_raw_events_no_longer(line):
    age(line, days=100)
    add(line, "ml-1", "late")
    line.sql("UPDATE usage_submissions SET usage_at = minute_of(now() - interval '100 days')")
    assert outcomes(apply_retention(line)) == [("kept", "submission")]
    ctl(line, "late", "drop", "ml-1")
    assert outcomes(apply_retention(line)) == [("dropped", None)]
