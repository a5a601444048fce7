"""meterctl rollup and what it reads: revenue by day and month, activation, and what usage cost and saved."""

import csv
import datetime
import json

import pytest

from line.paths import CATALOG
from support.life_stripe import MARK
from support.revenue_story import EXAMPLE, Story, set_rates
from support.webhooks import deliver

OCTOBER = EXAMPLE["default"]["month"]["2026-10"]


def read(folder, name):
    with open(folder / f"{name}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def costs(line, **metrics):
    """The catalog, with what a unit of these costs and saves."""
    catalog = json.loads(CATALOG.read_text(encoding="utf-8"))
    for name, fields in metrics.items():
        next(metric for metric in catalog["metrics"] if metric["metric"] == name).update(fields)
    line.must("meterctl", "catalog", "apply", "-", input=json.dumps(catalog))


def test_revenue_is_what_the_functions_say(line, tmp_path):
    stage = line.start_webhookd(STRIPE_SECRET_KEY=None).wait_ready()
    events = Story().tell()
    for event in events:
        deliver(stage, json.loads(json.dumps(event).replace(MARK, "L1o1x")))
    line.wait_for(lambda: line.value("SELECT count(*) FROM webhook_events WHERE state = 'processed'") == len(events), 60, "worked")
    done = line.meterctl("rollup", tmp_path)
    assert done.returncode == 1 and "revenue: there is no exchange rate of eur to usd" in done.stderr
    assert "rollup activation rows=0" in done.stdout and line.value("SELECT count(*) FROM rollup_revenue") == 0
    set_rates(line)
    line.must("meterctl", "rates", "set", "eur", "usd", "1.1", "--from", "2026-09-01")
    for _ in range(2):
        line.must("meterctl", "rollup", tmp_path)
    rows = {(row["at"], row["split_by"], row["part"]): row for row in read(tmp_path, "arr")}
    row, wanted = rows["2026-11-01T00:00:00Z", "", ""], EXAMPLE["default"]["at"]["B"]
    assert (int(row["arr_minor"]), int(row["mrr_minor"]), int(row["customers"])) == (
        wanted["arr_usd"], wanted["mrr_usd"], wanted["paying_customers"])
    assert row["logo_churn_percent"] == OCTOBER["logo_churn_percent"]
    assert row["gross_churn_percent"] == OCTOBER["gross_revenue_churn_percent"]
    days = [row for row in read(tmp_path, "mrr") if row["split_by"] == ""]
    assert len({row["at"] for row in days}) == len(days) > 60
    october = [row for row in days if "2026-10-01" < row["at"][:10] <= "2026-11-01"]
    assert sum(int(row["churn_minor"]) for row in october) == 59_800
    total = next(row for row in days if row["at"] == "2026-11-01T00:00:00Z")
    for split in ("plan", "currency"):
        parts = [row for row in read(tmp_path, "mrr") if (row["split_by"], row["at"]) == (split, total["at"])]
        assert len(parts) > 1
        if split == "plan":
            assert sum(int(row["mrr_minor"]) for row in parts) == int(total["mrr_minor"])
    assert not list(tmp_path.glob("*.part"))


def test_activation_of_what_is_imported_and_of_metrics(line, tmp_path):
    lines = ["tenant,step,time"]
    for tenant, steps in (("a", 3), ("b", 2), ("c", 1), ('"d,""e"""', 3)):
        lines += [f"{tenant},{step},2026-10-0{n + 2}T12:00:00Z" for n, step in enumerate(("preview", "analytics", "report")[:steps])]
    lines += ["f,report,2026-10-09", "g,preview,2026-11-01", "a,preview,2026-10-20T00:00Z"]
    assert line.must("meterctl", "activation", "import", "-", input="\r\n".join(lines) + "\r\n").stdout == "imported 12 lines\n"
    assert line.value("SELECT count(*) FROM product_events WHERE tenant = 'd,\"e\"'") == 3
    # A metric of a step's name is that step: from its first minute.
    minute = datetime.datetime(2026, 11, 5, 10, 30, tzinfo=datetime.timezone.utc)
    line.xadd(tenant="h", metric="api_calls", ts=str(int(minute.timestamp() * 1000)))
    line.start_aggregator(AGGREGATOR_FLUSH_MS=50).wait_ready()
    line.wait_for(lambda: line.value("SELECT count(*) FROM usage_totals WHERE tenant = 'h'"), 30, "counted")
    line.must("meterctl", "rollup", tmp_path)
    rows = [(row["cohort"], row["step"], int(row["tenants"]), row["percent_of_first"], row["percent_of_previous"], row["median_hours"])
            for row in read(tmp_path, "activation")]
    assert rows == [("2026-10-01", "preview", 4, "100.0", "", "0.0"), ("2026-10-01", "analytics", 3, "75.0", "75.0", "24.0"),
                    ("2026-10-01", "report", 2, "50.0", "66.7", "48.0"), ("2026-11-01", "preview", 1, "100.0", "", "0.0"),
                    ("2026-11-01", "analytics", 0, "0.0", "0.0", ""), ("2026-11-01", "report", 0, "0.0", "", "")]
    line.must("meterctl", "rollup", tmp_path, "--steps", "api_calls,report")
    assert [(row["step"], row["tenants"]) for row in read(tmp_path, "activation")] == [("api_calls", "1"), ("report", "0")]


@pytest.mark.parametrize("text, told", [
    ("a,preview", "standard input:1: must be tenant,step,time"), ("a,b,2026-01-01,c", "must be tenant,step,time"),
    ('"a,b,2026-01-01', "must be tenant,step,time"), (",preview,2026-01-01", "the tenant must"),
    ("a" * 129 + ",preview,2026-01-01", "the tenant must"), ("a,Preview,2026-01-01", "the step must"),
    ("a,preview,", "the time must"), ("a,preview,yesterday", "the time must"), ("a,preview,2026-01-01T10:00:00", "the time must"),
    ("a,preview,2026-02-30", "out of range"), ("ok,preview,2026-01-01\na,b", "standard input:2: must be")])
def test_a_file_with_a_fault_is_not_imported_at_all(line, text, told):
    done = line.meterctl("activation", "import", "-", input=text + "\n")
    assert done.returncode == 1 and told in done.stderr
    assert line.value("SELECT count(*) FROM product_events") == 0


def test_what_usage_cost_and_saved(line, tmp_path):
    costs(line, llm_tokens={"cost_per_unit": {"amount_minor": "2.1", "per": "1000", "currency": "usd"}, "hours_saved": "0.0005"})
    line.start_aggregator(AGGREGATOR_FLUSH_MS=50).wait_ready()
    now = line.value("SELECT (extract(epoch FROM now()) * 1000)::bigint")
    for tenant, quantity in (("acme", "1000.5"), ("acme", "2"), ("beta", "7")):
        line.xadd(tenant=tenant, metric="llm_tokens", quantity=quantity, ts=str(now))
        line.xadd(tenant=tenant, metric="api_calls", ts=str(now))
    line.wait_for(lambda: line.value("SELECT count(*) FROM usage_totals") == 4, 30, "counted")
    line.must("meterctl", "rollup", tmp_path)
    assert [(row["tenant"], row["metric"], row["quantity"], row["cost_minor"], row["currency"], row["hours_saved"])
            for row in read(tmp_path, "roi")] == [
        ("acme", "llm_tokens", "1002.5", "2.10525", "usd", "0.50125"), ("beta", "llm_tokens", "7", "0.0147", "usd", "0.0035")]


def test_files_that_cannot_be_written_are_told(line, tmp_path):
    done = line.meterctl("rollup", tmp_path / "nowhere")
    assert done.returncode == 1 and done.stderr.count("No such file") == 4 and "rollup roi rows=0" in done.stdout
    assert line.meterctl("rollup", "--steps", "a,,b").returncode == 2
    assert line.meterctl("rollup", "--steps", "A").returncode == 2
