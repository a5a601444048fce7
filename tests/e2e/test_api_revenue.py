"""Revenue over HTTP: the worked example through webhooks, and who may see it."""

import json

import pytest

from support import api as support
from support.life_stripe import MARK
from support.revenue_story import EXAMPLE, Story, set_rates
from support.webhooks import deliver

REVENUE, SERIES = "/api/admin/revenue", "/api/admin/revenue/series"
B, C = (f"{EXAMPLE['instants'][name]}T00:00:00Z" for name in "BC")
WANTED = EXAMPLE["default"]


@pytest.fixture(name="admin")
def admin_fixture(line):
    return support.start(line).with_key("admin")


def test_the_worked_example(line, admin):
    events = Story().tell()
    stage = line.start_webhookd(STRIPE_SECRET_KEY=None).wait_ready()
    for event in events:
        deliver(stage, json.loads(json.dumps(event).replace(MARK, "L1o1x")))
    line.wait_for(lambda: line.value("SELECT count(*) FROM webhook_events WHERE state = 'processed'") == len(events), 60, "worked")
    told = admin.get(REVENUE, query={"at": C})
    assert (told.status, told.code, told.param) == (400, "bad_parameter", "currency")
    assert "no exchange rate of eur to usd" in told.json["error"]["message"]
    set_rates(line)
    told = admin.must("GET", REVENUE, query={"at": C, "currency": "usd"})
    [row] = told["revenue"]
    wanted = WANTED["at"]["C"]
    assert row["mrr"] == {"amount_minor": wanted["mrr_usd"], "currency": "usd"} and row["arr"]["amount_minor"] == wanted["arr_usd"]
    assert row["customers"] == wanted["paying_customers"] and row["arpu"]["amount_minor"] == wanted["arpu_usd"]
    month = WANTED["month"]["2026-11"]
    assert row["moved"]["churn"]["amount_minor"] == month["churn_usd"] and row["moved"]["customers_lost"] == month["customers_lost"]
    assert row["moved"]["gross_churn_percent"] == month["gross_revenue_churn_percent"], "30 days before is the first of November"
    assert told["receipts"] == told["metered"] == []
    rows = admin.must("GET", REVENUE, query={"at": B, "by": "currency"})["revenue"]
    assert {row["currency"]: row["mrr"]["amount_minor"] for row in rows} == WANTED["at"]["B"]["mrr_by_currency"]
    rows = admin.must("GET", REVENUE, query={"at": B, "by": "plan"})["revenue"]
    assert sum(row["mrr"]["amount_minor"] for row in rows) == WANTED["at"]["B"]["mrr_usd"]
    rows = admin.must("GET", SERIES, query={"from": B, "to": C})["revenue"]
    assert len(rows) == 31 and rows[0]["moved"] is None
    assert (rows[0]["mrr"]["amount_minor"], rows[-1]["mrr"]["amount_minor"]) == (WANTED["at"]["B"]["mrr_usd"], wanted["mrr_usd"])
    again = admin.must("GET", SERIES, query={"from": B, "to": C, "step": "week", "by": "plan"})["revenue"]
    assert len({row["at"] for row in again}) == 6 and {row["plan"] for row in again} > {"standard", "enterprise"}


def test_nothing_is_zero(admin):
    told = admin.must("GET", REVENUE)
    [row] = told["revenue"]
    assert row["mrr"]["amount_minor"] == row["customers"] == 0 and row["arpu"] is None
    assert row["moved"]["logo_churn_percent"] is None
    assert admin.must("GET", REVENUE, query={"by": "plan"})["revenue"] == []


@pytest.mark.parametrize("path, query, param", [
    (REVENUE, {"at": "yesterday"}, "at"), (REVENUE, {"by": "tenant"}, "by"), (REVENUE, {"currency": "US$"}, "currency"),
    (REVENUE, {"by": "currency", "currency": "usd"}, "currency"), (SERIES, {}, "from"), (SERIES, {"from": C, "to": B}, "to"),
    (SERIES, {"from": B, "to": B}, "to"), (SERIES, {"from": "1990-01-01T00:00:00Z"}, "step"),
    (SERIES, {"from": B, "step": "hour"}, "step"), (SERIES, {"from": "2026-02-30T00:00:00Z"}, None)])
def test_faults_are_named(admin, path, query, param):
    told = admin.get(path, query=query)
    assert told.status == 400 and (param is None or told.param == param), told


@pytest.mark.parametrize("role, tenant", [("viewer", None), ("editor", None), ("admin", "acme")])
def test_it_is_for_admins_of_all_tenants_alone(admin, role, tenant):
    told = admin.with_key(role, tenant=tenant)
    assert {told.get(path, query={"from": B}).status for path in (REVENUE, SERIES)} <= {403, 400}
    assert told.get(REVENUE).status == 403
