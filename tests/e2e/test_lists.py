"""meterctl's lists: as wide as the terminal, whole with --wide and for programs, times in ISO with Z."""

import json
import re

import pytest

from line.line import TEST_KEY
from support.screen import Screen

TENANT = "a-tenant-whose-name-is-as-long-as-names-of-tenants-become-" + "0123456789" * 5
IDENTIFIER = "ml-" + "0123456789abcdef" * 4
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?Z")
NOT_ISO = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?!(:\d\d(\.\d{1,6})?)?Z)")


@pytest.fixture
def lists(line):
    """Something in each list, all of it wide."""
    line.catalog()
    line.xadd(tenant=TENANT, metric="api_calls", quantity="5", id="e-1")
    line.xadd(tenant=TENANT, metric="api_calls", quantity="0.30000000000000004" + "0" * 90, id="e-2")
    line.xadd(tenant=TENANT, metric="m" * 64, id="e-3")
    line.must("aggregator", "--once")
    line.sql("INSERT INTO usage_submissions (identifier, tenant, metric, transport, stripe_customer_id, event_name, "
             "period_start, usage_at, quantity, body, state, claim, last_error, request_id) "
             "SELECT %s, %s, 'api_calls', 'meter_events', %s, 'api_calls', period_start, now(), "
             "123456789012345, 'x', 'late', 1, %s, %s FROM usage_totals", IDENTIFIER, TENANT, "cus_" + "x" * 60,
             "too late: " + "y" * 200, "req_" + "z" * 40)
    return line


def on_terminal(line, columns, *args):
    """What it prints on a terminal so wide."""
    screen = Screen(40, columns)
    try:
        screen.run(line, "meterctl", *args)
        screen.wait(lambda: not screen.process.running)
        screen.wait(lambda: screen.raw.endswith("\n"))
        return screen.raw.replace("\r", "")
    finally:
        screen.close()


LISTS = [["rejected", "list"], ["rejected", "list", "--summary"], ["submissions", "list"], ["late", "list"]]


@pytest.mark.parametrize("args", LISTS, ids=" ".join)
def test_a_list_fits_the_terminal(lists, args):
    for columns in (120, 160):
        rows = on_terminal(lists, columns, *args).split("\n")
        assert max(map(len, rows)) <= columns and len(rows) > 3, rows
        assert any("…" in row for row in rows) or args[-1] == "--summary"
    for text in (on_terminal(lists, 120, *args, "--wide"), lists.must("meterctl", *args).stdout):
        assert "…" not in text
        if args[0] != "rejected":
            assert IDENTIFIER in text and TENANT in text
        elif args[-1] != "--summary":
            assert TENANT in text
    whole = json.dumps(json.loads(lists.must("meterctl", *args, "--json").stdout))
    assert "…" not in whole and (TENANT in whole or args[-1] == "--summary")


def test_an_identifier_is_cut_in_its_middle(lists):
    """So that the end, which tells the claim's hash, and the beginning stay."""
    for text in (on_terminal(lists, 120, "submissions", "list"), on_terminal(lists, 120, "late", "list")):
        cut = re.search(r"ml-[0-9a-f]+…[0-9a-f]+", text).group()
        head, tail = cut.split("…")
        assert IDENTIFIER.startswith(head) and IDENTIFIER.endswith(tail) and len(head) - len(tail) in (0, 1)


def test_rejected_list_has_metric_and_summary_and_what_is_pending(line):
    line.catalog()
    for number in range(3):
        line.xadd(tenant=f"t{number}", metric="gpu_hours", quantity=number)
    line.xadd(tenant="t0", metric="api_calls", quantity="many")
    line.must("aggregator", "--once")
    text = line.must("meterctl", "rejected", "list").stdout
    assert "gpu_hours" in text and "many" in text
    summary = json.loads(line.must("meterctl", "rejected", "list", "--summary", "--json").stdout)
    told = {(row["reason"], row["metric"]): (row["entries"], row["pending"], row["tenants"]) for row in summary}
    assert told == {("unknown_metric", "gpu_hours"): (3, 3, 3), ("bad_quantity", "api_calls"): (1, 1, 1)}
    line.sql("UPDATE rejected_events SET replayed_at = now() WHERE tenant IN ('t1', 't2')")
    summary = json.loads(line.must("meterctl", "rejected", "list", "--summary", "--json", "--tenant", "t1").stdout)
    assert [(row["entries"], row["pending"]) for row in summary] == [(1, 0)]
    rows = json.loads(line.must("meterctl", "rejected", "list", "--pending", "--json").stdout)
    assert {(row["tenant"], row["metric"]) for row in rows} == {("t0", "gpu_hours"), ("t0", "api_calls")}
    pending = json.loads(line.must("meterctl", "rejected", "list", "--pending", "--summary", "--json").stdout)
    assert {(row["metric"], row["entries"], row["pending"]) for row in pending} == {("gpu_hours", 1, 1), ("api_calls", 1, 1)}
    line.sql("UPDATE rejected_events SET replayed_at = now()")
    assert line.must("meterctl", "rejected", "list", "--pending").stdout == "nothing waits to be replayed\n"


def test_times_are_iso_with_z(lists):
    """Also where the books differ, and each finding has a time."""
    line = lists
    line.sql("UPDATE usage_totals SET quantity = 7")
    line.sql("UPDATE usage_aggregates SET quantity_sum = 6")
    line.sql("UPDATE stream_positions SET lost = 3")
    line.must("meterctl", "lost", "accept", "--yes")
    found = {}
    for args in (["audit"], ["audit", "--json"], ["rebuild", "--check"], ["rebuild", "--check", "--json"], ["lost", "list"],
                 ["events", "--tenant", TENANT], ["events", "--tenant", TENANT, "--format", "csv"], ["status"],
                 ["explain", "--tenant", TENANT, "--metric", "api_calls", "--period", "current", "--events"],
                 ["explain", "--tenant", TENANT, "--metric", "api_calls", "--period", "current", "--format", "csv"],
                 ["explain", "--tenant", TENANT, "--metric", "api_calls", "--period", "current", "--format", "json"],
                 ["submissions", "show", IDENTIFIER], ["rejected", "show", "1"], ["retention", "apply", "--dry-run"],
                 *LISTS, *[[*args, "--json"] for args in LISTS]):
        done = line.meterctl(*args, STRIPE_SECRET_KEY=TEST_KEY)
        text = done.stdout + done.stderr
        assert not NOT_ISO.search(text), (args, text)
        found[" ".join(args)] = len(ISO.findall(text))
    quiet = {"status", "retention apply --dry-run"}
    assert all(count > 0 or args in quiet for args, count in found.items()), found


# --round

def test_what_floats_print_is_rounded_and_counts_once(line):
    line.catalog()
    given = {"sum": "0.30000000000000004", "small": "1e-7", "whole": "5", "word": "many", "huge": "1e30"}
    for name, quantity in given.items():
        line.xadd(tenant="acme", metric="gpu_hours" if name == "whole" else "api_calls", quantity=quantity, id=name)
    line.must("aggregator", "--once")
    plain = line.must("meterctl", "rejected", "replay", "--reason", "bad_quantity", "--dry-run").stdout
    assert plain.startswith("skipped reason=bad_quantity entries=4 ") and "--round" in plain
    assert plain.endswith("\n0 of 4 entries can be replayed\n")
    args = ["rejected", "replay", "--all", "--round", "9"]
    dry = line.must("meterctl", *args, "--dry-run").stdout
    assert 'rounded entries=2 msg="quantities to 9 decimals, half away from zero"' in dry
    assert "skipped reason=bad_quantity entries=2" in dry and "skipped reason=unknown_metric entries=1" in dry
    assert "2 of 5 entries can be replayed" in dry
    assert line.client().xlen("usage:events") == 0
    assert "replayed 2 entries" in line.must("meterctl", *args, "--yes").stdout
    sent = {fields["id"]: fields["quantity"] for _, fields in line.client().xrange("usage:events")}
    assert sent == {"sum": "0.3", "small": "0.0000001"}
    line.must("aggregator", "--once")
    assert str(line.value("SELECT trim_scale(quantity) FROM usage_totals WHERE metric = 'api_calls'")) == "0.3000001"
    line.must("meterctl", *args, "--yes", "--again")
    # The service, mended, may send it as well.
    line.xadd(tenant="acme", metric="api_calls", quantity="0.3", id="sum")
    line.must("aggregator", "--once")
    assert str(line.value("SELECT trim_scale(quantity) FROM usage_totals WHERE metric = 'api_calls'")) == "0.3000001"
    assert line.audit().ok


@pytest.mark.parametrize("decimals, told", [("10", "from 0 to 9"), ("-1", "from 0 to 9"), ("x", "from 0 to 9")])
def test_round_wants_a_number_of_decimals(line, decimals, told):
    done = line.meterctl("rejected", "replay", "--all", "--round", decimals)
    assert done.returncode == 2 and told in done.stderr
