"""What an admin sees of all tenants, and a tenant's own limits and prices."""

import pytest

from support import api as support

LIMITS = "/api/admin/tenants/acme/limits"
SUBSCRIPTIONS = ("INSERT INTO subscriptions (stripe_subscription_id, tenant, stripe_customer_id, plan, status,"
                 " current_period_start, current_period_end, billing_cycle_anchor, started_at)"
                 " VALUES ('sub_' || {0}, '{1}', 'cus_{1}', '{2}', '{3}', now() - interval '1 day', now() + interval '1 day',"
                 " now(), now() - {0} * interval '1 hour')")


@pytest.fixture(name="admin")
def admin_fixture(line):
    return support.start(line).with_key("admin", "boss")


def subscribe(line, number, tenant, plan="standard", status="active"):
    line.sql(SUBSCRIPTIONS.format(number, tenant, plan, status))


def ids(answer):
    return [row["id"] for row in answer["data"]]


@pytest.mark.parametrize("path", ["subscriptions", "customers", "keys", "pipeline", "tenants/acme/limits"])
def test_only_an_admin_of_all_tenants_may(line, admin, path):
    url = f"/api/admin/{path}"
    line.sql("INSERT INTO tenant_limits (tenant, metric, included) VALUES ('acme', 'api_calls', 5)")
    assert admin.get(url).status == 200
    for caller in (admin.with_key("viewer"), admin.with_key("editor"), admin.with_key("admin", "own", tenant="acme")):
        assert caller.get(url).status == 403, caller


def test_subscriptions_are_listed_newest_first_in_pages(line, admin):
    for number, (tenant, status) in enumerate([("acme", "active"), ("acme", "canceled"), ("globex", "trialing")], 1):
        subscribe(line, number, tenant, status=status)
    path = "/api/admin/subscriptions"
    told = admin.must("GET", path)
    assert ids(told) == ["sub_1", "sub_2", "sub_3"] and not told["has_more"]
    first = told["data"][0]
    assert (first["tenant"], first["customer"], first["plan"], first["status"]) == ("acme", "cus_acme", "standard", "active")
    page = admin.must("GET", path, query={"limit": 2})
    assert ids(page) == ["sub_1", "sub_2"] and page["has_more"]
    assert ids(admin.must("GET", path, query={"limit": 2, "starting_after": "sub_2"})) == ["sub_3"]
    assert ids(admin.must("GET", path, query={"starting_after": "sub_none"})) == []
    assert ids(admin.must("GET", path, query={"status": "trialing"})) == ["sub_3"]
    assert ids(admin.must("GET", path, query={"tenant": "acme", "plan": "standard"})) == ["sub_1", "sub_2"]
    assert admin.get(path, query={"status": "odd"}).param == "status"
    assert admin.get(path, query={"what": "x"}).param == "what"


def test_customers_and_keys_are_listed(line, admin):
    line.sql("INSERT INTO billing_customers (tenant, stripe_customer_id, email, contested_since) VALUES"
             " ('acme', 'cus_2', 'a@example.com', NULL), ('globex', 'cus_1', NULL, now())")
    subscribe(line, 1, "acme")
    rows = admin.must("GET", "/api/admin/customers")["data"]
    assert [(r["id"], r["tenant"], r["state"], r["subscriptions"]) for r in rows] == [
        ("cus_1", "globex", "contested", 0), ("cus_2", "acme", "billed", 1)]
    assert ids(admin.must("GET", "/api/admin/customers", query={"state": "billed"})) == ["cus_2"]
    assert ids(admin.must("GET", "/api/admin/customers", query={"starting_after": "cus_1"})) == ["cus_2"]
    other = admin.with_key("viewer", "shop", tenant="acme")
    line.must("meterctl", "keys", "revoke", "shop")
    rows = {row["name"]: row for row in admin.must("GET", "/api/admin/keys")["data"]}
    assert (rows["boss"]["role"], rows["boss"]["tenant"], rows["boss"]["state"]) == ("admin", None, "valid")
    assert (rows["shop"]["tenant"], rows["shop"]["state"]) == ("acme", "revoked") and rows["shop"]["revoked_at"]
    told = admin.get("/api/admin/keys").text
    assert admin.key not in told and other.key not in told and "hash" not in told
    assert [r["name"] for r in admin.must("GET", "/api/admin/keys", query={"state": "valid"})["data"]] == ["boss"]


def test_own_limits_and_prices_are_set_as_a_whole(line, admin):
    assert admin.get(LIMITS).status == 404
    assert admin.put(LIMITS, {"limits": []}).param == "tenant"
    line.start_webhookd()
    own = [{"metric": "api_calls", "included": "5000", "cap": "hard", "window": "day", "unit_price": "0.25", "currency": "usd"},
           {"metric": "user_seats", "unlimited": True, "until": "2099-01-01T00:00:00Z"}]
    told = {row["metric"]: row for row in admin.must("PUT", LIMITS, {"limits": own, "new": True})["limits"]}
    assert told["api_calls"]["own_limit"] == {"included": "5000", "unlimited": False, "cap": "hard", "window": "day",
                                              "until": None, "unit_price": "0.25", "currency": "usd"}
    assert told["api_calls"]["plan_limit"]["included"] == "1000" and told["llm_tokens"]["own_limit"] is None
    seen = admin.wait(LIMITS, lambda a: {r["metric"]: r for r in a["limits"]}["api_calls"]["in_force"], "it is in force")
    assert seen["plan"] == "free"
    force = {row["metric"]: row["in_force"] for row in seen["limits"]}
    assert (force["api_calls"]["limit"], force["api_calls"]["cap"], force["api_calls"]["window"]) == ("5000", "hard", "day")
    assert force["user_seats"]["limit"] is None
    shown = line.must("meterctl", "quota", "show", "acme", "--json").stdout
    assert '"own_price": "0.25"' in shown
    # What is not named is gone.
    admin.must("PUT", LIMITS, {"limits": own[1:]})
    assert [r.metric for r in line.sql("SELECT metric FROM tenant_limits")] == ["user_seats"]
    admin.must("PUT", LIMITS, {"limits": []})
    assert line.value("SELECT count(*) FROM tenant_limits") == 0
    history = line.sql("SELECT tenant, actor, detail FROM billing_history WHERE kind = 'limits_changed' ORDER BY history_id")
    assert [(row.tenant, row.actor) for row in history] == [("acme", "boss")] * 3
    changed = {r["metric"]: r["own_limit"] for r in history[1].detail["before"]}
    assert changed["api_calls"]["included"] == "5000"


@pytest.mark.parametrize("limit, param", [
    ({"metric": "nothing", "included": "1"}, "limits[0].metric"), ({"included": "1"}, "limits[0].metric"),
    ({"metric": "api_calls"}, "limits[0].included"), ({"metric": "api_calls", "unlimited": False}, "limits[0].included"),
    ({"metric": "api_calls", "included": "-1"}, "limits[0].included"),
    ({"metric": "api_calls", "included": 5}, "limits[0].included"),
    ({"metric": "api_calls", "included": "1", "unlimited": True}, "limits[0].included"),
    ({"metric": "user_seats", "included": "1", "window": "day"}, "limits[0].window"),
    ({"metric": "api_calls", "included": "1", "cap": "firm"}, "limits[0].cap"),
    ({"metric": "api_calls", "included": "1", "until": "2020-01-01T00:00:00Z"}, "limits[0].until"),
    ({"metric": "api_calls", "included": "1", "until": "soon"}, "limits[0].until"),
    ({"metric": "api_calls", "unit_price": "1"}, "limits[0].currency"),
    ({"metric": "api_calls", "included": "1", "currency": "usd"}, "limits[0].unit_price"),
    ({"metric": "api_calls", "unit_price": "1", "currency": "USD"}, "limits[0].currency"),
    ({"metric": "api_calls", "unit_price": "1000000000000", "currency": "usd"}, "limits[0].unit_price"),
    ({"metric": "api_calls", "included": "1", "colour": "red"}, "limits[0].colour")])
def test_each_fault_of_a_limit_is_named_and_nothing_is_done(line, admin, limit, param):
    answer = admin.put(LIMITS, {"limits": [limit], "new": True})
    assert (answer.status, answer.param) == (400, param), answer
    assert line.value("SELECT count(*) FROM tenant_limits") == 0


def test_a_metric_is_named_once_and_the_body_is_whole(admin):
    twice = [{"metric": "api_calls", "included": "1"}, {"metric": "api_calls", "included": "2"}]
    assert admin.put(LIMITS, {"limits": twice, "new": True}).param == "limits[1].metric"
    assert admin.put(LIMITS, {"new": True}).param == "limits"


def test_the_largest_limit_and_price_are_kept(line, admin):
    most = {"metric": "api_calls", "included": "9" * 18 + "." + "9" * 9, "unit_price": "9" * 12 + "." + "9" * 9, "currency": "usd"}
    admin.must("PUT", LIMITS, {"limits": [most], "new": True})
    [kept] = line.sql("SELECT included::text, overage_unit_price::text FROM tenant_limits")
    assert (kept.included, kept.overage_unit_price) == (most["included"], most["unit_price"] + "000")


def test_a_repetition_changes_nothing_more(line, admin):
    body = {"limits": [{"metric": "api_calls", "included": "7"}], "new": True}
    key = {"Idempotency-Key": "once"}
    first = admin.put(LIMITS, body, headers=key)
    line.sql("DELETE FROM tenant_limits")
    again = admin.put(LIMITS, body, headers=key)
    assert first.status == again.status == 200 and first.body == again.body
    assert again.headers["Idempotency-Replayed"] == "true" and line.value("SELECT count(*) FROM tenant_limits") == 0


def test_the_pipeline_tells_what_waits(line, admin):
    told = admin.must("GET", "/api/admin/pipeline")
    assert {row["state"]: row["count"] for row in told["submissions"]} == dict.fromkeys(
        ["pending", "sending", "held", "in_doubt", "failed", "late"], 0)
    assert told["rejected"] == []
    aggregator = line.start_aggregator().wait_ready()
    line.xadd(tenant="acme", metric="api_calls", quantity=3)
    line.xadd(tenant="acme", metric="no_such_metric", quantity=1)
    line.wait_for(lambda: line.value("SELECT counted = 1 AND rejected = 1 FROM stream_positions"), 30, "both are read")
    aggregator.term()
    for _ in range(4):
        line.xadd(tenant="acme", metric="api_calls", quantity=1)
    told = admin.must("GET", "/api/admin/pipeline")
    (stream,) = told["streams"]
    assert (stream["stream"], stream["depth"], stream["lag"]) == ("usage:events", 4, 4)
    assert told["rejected"] == [{"reason": "unknown_metric", "count": 1}]


@pytest.mark.own_servers
def test_the_pipeline_is_told_without_redis(line, admin):
    line.start_aggregator().wait_ready()
    line.wait_for(lambda: line.value("SELECT count(*) FROM stream_positions") == 1, 30, "the stream is owned")
    line.redis.stop()
    (stream,) = admin.must("GET", "/api/admin/pipeline")["streams"]
    assert (stream["depth"], stream["lag"]) == (None, None)
