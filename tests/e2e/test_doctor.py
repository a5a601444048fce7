"""meterctl doctor: a line for each thing that the line needs, right and wrong."""

import json

import pytest

from line import Line, Pgbouncer
from line.line import TEST_KEY

pytestmark = pytest.mark.own_servers


def doctor(line, **settings):
    """(exit code, {check: [(result, msg), …]})"""
    done = line.meterctl("doctor", "--json", **settings)
    found = {}
    assert done.stdout, done.stderr
    for row in json.loads(done.stdout):
        found.setdefault(row["check"], []).append((row["result"], row["msg"]))
    return done.returncode, found


def bad(found):
    return sorted((check, msg) for check, rows in found.items() for result, msg in rows if result == "BAD")


def meters_of(line):
    return line.sql("SELECT metric, stripe_event_name AS event_name, aggregation NOT IN ('sum', 'count') AS newest "
                    "FROM metrics WHERE transport IN ('meter_events', 'meter_event_stream') ORDER BY metric")


@pytest.fixture
def postgres_conf():
    """As durable as a real one."""
    return {"fsync": "on"}


@pytest.fixture
def account(line):
    """A line with whose account in Stripe all is well."""
    line.start_sandbox(rate_per_s=0)
    line.meters = {}
    made = line.sandbox.bootstrap(meters=[{"event_name": m.event_name, "formula": "last" if m.newest else "sum"}
                                          for m in meters_of(line)], tenants=[])
    assert made is not None
    for meter in line.sandbox.api("GET", "/v1/billing/meters?limit=100").json["data"]:
        line.meters[meter["event_name"]] = meter["id"]
    line.sandbox.api("POST", "/v1/products", {"id": "prod_1", "name": "Plans"})
    line.prices = {}
    for plan in line.sql("SELECT stripe_lookup_key AS key FROM plans WHERE plan <> 'free'"):
        answer = line.sandbox.api("POST", "/v1/prices", {
            "product": "prod_1", "currency": "usd", "unit_amount": 100, "lookup_key": plan.key,
            "recurring": {"interval": "month"}})
        assert answer.status == 200, answer.body
        line.prices[plan.key] = answer.json["id"]
    for meter in line.meters.values():
        answer = line.sandbox.api("POST", "/v1/prices", {
            "product": "prod_1", "currency": "usd", "unit_amount": 1,
            "recurring": {"interval": "month", "usage_type": "metered", "meter": meter}})
        assert answer.status == 200, answer.body
    line.endpoint = line.sandbox.webhook("http://127.0.0.1:9/webhooks/stripe")["id"]
    return line


def test_all_is_well(account):
    code, found = doctor(account)
    assert bad(found) == [] and code == 0
    for check in ("postgres", "pooler", "schema", "clock of postgres", "roles", "redis", "redis durability",
                  "clock of redis", "key", "permission", "meter", "price", "webhook endpoint"):
        assert check in found, check
    assert len(found["meter"]) == len(account.meters) and len(found["roles"]) == 5
    assert found["key"] == [("ok", "a secret key, test mode")]
    text = account.must("meterctl", "doctor")
    assert "everything is in order" in text.stdout and TEST_KEY not in text.stdout + text.stderr


def test_the_key(account):
    assert bad(doctor(account, STRIPE_SECRET_KEY=None)[1])[0][0] == "key"
    code, found = doctor(account, STRIPE_SECRET_KEY="sk_live_x")
    assert code == 1 and "STRIPE_LIVE=1" in bad(found)[0][1]
    account.sandbox.key("sk_test_old", expired=True)
    code, found = doctor(account, STRIPE_SECRET_KEY="sk_test_old")
    assert code == 1 and "Expired API Key" in bad(found)[0][1] and bad(found)[0][0] == "stripe"
    assert doctor(account, STRIPE_SECRET_KEY="rk_test_1")[1]["key"] == [("ok", "a restricted key, test mode")]
    account.sandbox.key("rk_test_1", refused=["/v1/prices", "GET /v1/webhook_endpoints"])
    code, found = doctor(account, STRIPE_SECRET_KEY="rk_test_1")
    assert code == 1 and [check for check, _ in bad(found)] == ["permission"] * 2
    assert "Prices: read" in str(bad(found)) and "Webhook Endpoints: read" in str(bad(found))
    assert {result for result, _ in found["meter"]} == {"ok"}, "what may be read is judged all the same"
    account.sandbox.stop()
    account.sandbox = None
    code, found = doctor(account, STRIPE_API_BASE="http://127.0.0.1:1")
    assert code == 1 and bad(found)[0][0] == "stripe"


def test_meters(account):
    account.sandbox.api("POST", f"/v1/billing/meters/{account.meters['api_calls']}/deactivate")
    account.sql("UPDATE metrics SET stripe_event_name = 'nobody_made' WHERE metric = 'llm_tokens'")
    code, found = doctor(account)
    told = str(bad(found))
    assert code == 1 and "api_calls is archived: reactivate it" in told
    assert "no meter with event name nobody_made" in told
    account.sql("UPDATE metrics SET stripe_event_name = NULL, transport = 'none' WHERE metric = 'llm_tokens'")
    account.sandbox.api("POST", f"/v1/billing/meters/{account.meters['api_calls']}/reactivate")
    assert "llm_tokens" not in str(doctor(account)[1]["meter"])


def test_a_wrong_formula(account):
    metric = meters_of(account)[0]
    account.sql("UPDATE metrics SET aggregation = CASE WHEN aggregation IN ('sum', 'count') THEN 'max' ELSE 'sum' END,"
                " carry = false WHERE metric = %s", metric.metric)
    code, found = doctor(account)
    assert code == 1 and len(bad(found)) == 1 and "formula" in bad(found)[0][1]


def test_prices(account):
    key, price = next(iter(account.prices.items()))
    account.sandbox.api("POST", f"/v1/prices/{price}", {"active": False})
    code, found = doctor(account)
    assert code == 1 and [check for check, _ in bad(found)] == ["price"] and key in bad(found)[0][1]


def test_the_webhook_endpoint(account):
    path = f"/v1/webhook_endpoints/{account.endpoint}"
    account.sandbox.api("POST", path, {"enabled_events": ["customer.created", "invoice.paid"]})
    code, found = doctor(account)
    assert code == 1 and "customer.subscription.deleted" in bad(found)[0][1]
    assert "customer.created" not in bad(found)[0][1]
    account.sandbox.api("POST", path, {"enabled_events": ["*"], "disabled": True})
    code, found = doctor(account)
    assert code == 1 and "no endpoint is enabled" in bad(found)[0][1]


def test_redis(account):
    client = account.client()
    for name, wrong, right, said in (("maxmemory-policy", "allkeys-lru", "noeviction", "set it to noeviction"),
                                     ("appendonly", "no", "yes", "set appendonly yes")):
        client.config_set(name, wrong)
        code, found = doctor(account)
        assert code == 1 and bad(found)[0][0] == "redis durability" and said in bad(found)[0][1]
        client.config_set(name, right)
    client.config_set("appendfsync", "always")
    assert doctor(account)[1]["redis durability"][0][0] == "ok"
    client.config_set("appendfsync", "everysec")
    assert doctor(account)[1]["redis durability"][0][0] == "warn"
    client.execute_command("REPLICAOF", "127.0.0.1", "1")
    assert "replica" in str(bad(doctor(account)[1]))
    client.execute_command("REPLICAOF", "NO", "ONE")
    client.config_set("requirepass", "changed")
    assert ["NOAUTH" in said and "replica" not in said for _, said in bad(doctor(account)[1])] == [True]
    client.execute_command("AUTH", "changed")
    client.config_set("requirepass", "")
    account.redis.stop()
    code, found = doctor(account)
    assert code == 1 and [check for check, _ in bad(found)] == ["redis"]


def test_postgres(account):
    account.sql("DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations)")
    code, found = doctor(account)
    assert code == 1 and bad(found)[0][0] == "schema" and "meterctl migrate" in bad(found)[0][1]
    assert {result for result, _ in found["roles"]} == {"warn"}, "no login has any of them"
    account.sql("CREATE ROLE app LOGIN IN ROLE meterline_sink")
    assert ("ok", "meterline_sink: 1 logins") in doctor(account)[1]["roles"]
    account.postgres.stop()
    code, found = doctor(account)
    assert code == 1 and bad(found)[0][0] == "postgres" and "redis" in found


@pytest.mark.parametrize("mode", ["transaction", "session", "statement"])
def test_the_poolers_mode(account, mode):
    pooler = Pgbouncer(account.folder, account.postgres, users=("postgres",), pool_mode=mode)
    pooler.start()
    try:
        code, found = doctor(account, DATABASE_URL=pooler.url)
    finally:
        pooler.close()
    if mode == "statement":
        assert code == 1 and "pool_mode" in str(bad(found)), found
    else:
        assert bad(found) == [] and "session or transaction mode" in found["pooler"][0][1]


def test_the_stages(account):
    stages = ("aggregator", "sink", "webhookd")
    found = doctor(account)[1]
    assert {name: found[name][0][0] for name in stages} == dict.fromkeys(stages, "warn")
    assert "start meterline-sink" in found["sink"][0][1] and "versions" not in found
    running = {name: account.start(name).wait_ready() for name in stages}
    account.wait_for(lambda: account.value("SELECT count(*) FROM stage_instances WHERE ready") == 3)
    code, found = doctor(account)
    assert code == 0 and {name: found[name][0][0] for name in (*stages, "versions")} == dict.fromkeys((*stages, "versions"), "ok")
    running["sink"].kill9()
    account.sql("UPDATE stage_instances SET seen_at = seen_at - interval '30 s' WHERE stage = 'sink'")
    account.sql("UPDATE stage_instances SET version = '0.0.9' WHERE stage = 'webhookd'")
    account.redis.stop()
    account.wait_for(lambda: account.value("SELECT NOT ready FROM stage_instances WHERE stage = 'aggregator'"))
    code, found = doctor(account)
    assert code == 1 and found["sink"][0][0] == "BAD" and "it died" in found["sink"][0][1]
    assert found["aggregator"][0][0] == "BAD" and "is not ready: redis: not connected" in found["aggregator"][0][1]
    assert found["versions"][0][0] == "warn" and "is 0.0.9" in found["versions"][0][1]


def test_stripes_words_are_told_to_the_end(account):
    words = ("The provided key 'rk_test_*********************************************************0000' does not have the "
             "required permissions for this endpoint on account 'acct_1'. Having the 'rak_billing_meter_read' permission "
             "would allow this request to continue.")
    account.sandbox.fault("status", path="/v1/billing/meters", method="GET", status=403,
                          body={"error": {"type": "invalid_request_error", "message": words}})
    assert any(words in msg for _, msg in bad(doctor(account)[1]))


def test_an_unsafe_postgres(folder):
    line = Line(folder)
    try:
        line.start_servers()
        line.migrate()
        assert "fsync is off" in str(bad(doctor(line)[1]))
    finally:
        line.close()


def test_an_empty_database_is_to_be_migrated(folder):
    line = Line(folder)
    try:
        line.start_servers()
        code, found = doctor(line, STRIPE_SECRET_KEY=None)
        assert code == 1 and "meterctl migrate" in str(bad(found))
    finally:
        line.close()
