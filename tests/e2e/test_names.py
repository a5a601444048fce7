"""meterctl, asked about a tenant or metric that there is not, says so: figures of nothing are 0, and look well.
And an option without its value is told, whatever stands behind it."""

import json
import re

import pytest

from line.line import TEST_KEY

PERIOD = ["--period", "current"]
OF_TENANT = [["rebuild", "--check"], ["rebuild", "--repair"], ["events"], ["explain", "--metric", "api_calls", *PERIOD],
             ["submissions", "list"], ["submissions", "retry", "--state", "failed"], ["late", "list"],
             ["late", "carry"], ["late", "drop"], ["rejected", "list"], ["rejected", "list", "--summary"],
             ["rejected", "replay"], ["reconcile"]]
OF_METRIC = [["events", "--tenant", "acme"], ["explain", "--tenant", "acme", *PERIOD], ["submissions", "list"],
             ["rebuild", "--repair"]]


@pytest.fixture
def asked(line):
    line.catalog()
    for tenant in ("acme", "acorn", "zen"):
        line.xadd(tenant=tenant, metric="api_calls")
    line.must("aggregator", "--once")
    return lambda *args: line.meterctl(*args, STRIPE_SECRET_KEY=TEST_KEY, STRIPE_API_BASE="http://127.0.0.1:9")


def test_a_tenant_that_there_is_not(asked):
    for command in OF_TENANT:
        done = asked(*command, "--tenant", "Acne")
        assert done.returncode == 1 and done.stdout == "", command
        assert done.stderr == "meterctl: no such tenant: Acne; did you mean acme?\n", command
    far = asked("events", "--tenant", "globex").stderr
    assert far.startswith("meterctl: no such tenant: globex (") and "did you mean" not in far
    assert "acme or acorn?" in asked("events", "--tenant", "acorme").stderr
    assert asked("rebuild", "--check", "--tenant", "").returncode == 1


def test_a_metric_that_there_is_not(asked):
    for command in OF_METRIC:
        done = asked(*command, "--metric", "api_cals")
        assert done.returncode == 1 and done.stdout == "", command
        assert done.stderr == "meterctl: no such metric: api_cals; did you mean api_calls?\n", command
    assert "meterctl catalog show" in asked("events", "--tenant", "acme", "--metric", "x").stderr
    both = asked("explain", "--tenant", "amce", "--metric", "api_cals", *PERIOD).stderr
    assert "tenant: amce; did you mean acme?" in both and "metric: api_cals; did you mean api_calls?" in both


@pytest.mark.parametrize("place", [
    "INSERT INTO billing_customers (tenant, stripe_customer_id) VALUES ('new', 'cus_1')",
    "INSERT INTO usage_quotas (tenant, metric, cap) VALUES ('new', 'api_calls', 'none')",
    "INSERT INTO tenant_limits (tenant, metric, included) VALUES ('new', 'api_calls', 5)",
    "INSERT INTO rejected_events (stream, epoch, stream_id, tenant, reason, detail, fields) "
    "VALUES ('usage:events', 1, '1-1', 'new', 'bad_field', 'x', '[]')",
    "INSERT INTO usage_pending (batch, stream, tenants) VALUES (5, 'usage:events', '{zen,new}')",
])
def test_a_tenant_is_known_wherever_it_stands(asked, line, place):
    assert asked("rejected", "list", "--tenant", "new").returncode == 1
    line.sql(place)
    assert asked("rejected", "list", "--tenant", "new").returncode == 0


def test_raw_events_that_are_in_no_minute_yet_make_a_tenant_known(asked, line):
    line.sql("INSERT INTO usage_pending (batch, stream, from_raw) SELECT DISTINCT batch, stream, true FROM usage_batches")
    for table in ("usage_totals", "usage_aggregates", "usage_quotas"):
        line.sql(f"DELETE FROM {table}")
    assert len(asked("events", "--tenant", "acme").stdout.splitlines()) == 1
    assert asked("events", "--tenant", "acm").returncode == 1


def test_a_metric_that_was_retired_is_known(asked, line):
    line.sql("UPDATE metrics SET retired_at = now() WHERE metric = 'api_calls'")
    assert asked("events", "--tenant", "acme", "--metric", "api_calls").returncode == 0


def commands_with_values(line):
    """(words of the command, option): by what --help says of them."""
    text = line.must("meterctl", "--help").stdout
    for usage in re.findall(r"^  meterctl (.*)$", text, re.MULTILINE):
        words = re.match(r"[a-z]+(?: [a-z]+)?", usage).group().split()
        for option in re.findall(r"(--[a-z-]+) [A-Za-z]", usage):
            yield words, option


def test_what_stands_behind_an_option_is_its_value(asked, line):
    """Whatever it looks like, as in other programs; with nothing behind it, the option is told."""
    found = list(commands_with_values(line))
    assert len(found) > 25 and (["explain"], "--tenant") in found and (["rejected", "replay"], "--round") in found
    for words, option in found:
        assert asked(*words, option).stderr == f"meterctl: {option} needs a value\n"
        for behind in ("--help", "-h"):
            done = asked(*words, option, behind)
            assert done.returncode in (1, 2) and done.stdout == "" and "usage: meterctl" not in done.stderr, done
            assert "unknown argument" not in done.stderr, (words, option, done.stderr)
    for help_word in ("--help", "-h"):
        for before in (["--tenant", "acme"], ["--tenant", "--tenant"], ["--tenant=--metric"], ["--events"], [""]):
            assert asked("explain", *before, help_word).stdout.startswith("usage: meterctl explain"), before
    assert asked("explain", "--events=yes").stderr == "meterctl: --events takes no value\n"


@pytest.mark.parametrize("name", ["--help", "-h", "--json", "--yes", "-x"])
def test_a_tenant_may_be_called_like_an_option(asked, line, name):
    assert asked("events", "--tenant", name).stderr.startswith(f"meterctl: no such tenant: {name} ")
    line.xadd(tenant=name, metric="api_calls")
    line.must("aggregator", "--once")
    for words in (["--tenant", name], [f"--tenant={name}"]):
        assert json.loads(asked("events", *words).stdout)["tenant"] == name


def test_a_word_too_many_is_told_with_the_commands_own_help(asked):
    for words in (["audit"], ["doctor"], ["rejected", "list"], ["retention", "apply"]):
        done = asked(*words, "x")
        assert done.returncode == 2 and done.stderr == f"meterctl: unknown argument: x (see meterctl {' '.join(words)} --help)\n"
        assert asked(*words, "--bogus").stderr == f"meterctl: unknown argument: --bogus (see meterctl {' '.join(words)} --help)\n"
