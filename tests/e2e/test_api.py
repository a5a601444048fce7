"""The API's door: who may, what a request must be, what is kept of it, and what nobody gets."""

import json
import threading

import pytest

from support import api as support

ALERTS = "/api/billing/alerts"
TOKEN = "/api/billing/portal_token"


@pytest.fixture(name="api")
def api_fixture(line):
    return support.start(line)


@pytest.fixture(name="admin")
def admin_fixture(api):
    return api.with_key("admin", "boss", of="acme")


def test_usage_of_nobody_is_nothing(admin):
    told = admin.must("GET", "/api/billing/usage")
    assert told["tenant"] == "acme" and {m["metric"] for m in told["metrics"]} >= {"api_calls", "llm_tokens"}
    assert all(m["quantity"] == "0" and m["updated_at"] is None for m in told["metrics"])


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Bearer mk_", "Bearer mk_" + "x" * 43, "Basic abc",
                                           "Bearer pt_" + "A" * 43, "Bearer sk_test_123456789012345678901234"])
def test_without_a_key_nobody_gets_in(admin, authorization):
    told = admin.get("/api/billing/usage", headers={"Authorization": authorization})
    assert (told.status, told.code) == (401, "unauthorized") and told.headers["WWW-Authenticate"] == "Bearer"


def test_a_key_that_is_revoked_stops_within_a_second(line, api):
    editor = api.with_key("editor", "shop", of="acme")
    editor.must("GET", "/api/billing/usage")
    token = editor.must("POST", TOKEN)["token"]
    browser = support.Api(line, api.stage, token)
    browser.must("GET", "/api/billing/usage")
    line.must("meterctl", "keys", "revoke", "shop")
    for caller in (editor, browser):
        line.wait_for(lambda who=caller: who.get("/api/billing/usage").status == 401, 1, "it is refused")
    assert "revoked" in editor.get("/api/billing/usage").json["error"]["message"]
    assert line.meterctl("keys", "revoke", "shop").returncode == 1
    assert "shop" not in line.must("meterctl", "keys", "list").stdout
    assert "revoked" in line.must("meterctl", "keys", "list", "--all").stdout


def test_a_key_that_has_expired_is_refused(line, api):
    viewer = api.with_key("viewer", of="acme")
    viewer.must("GET", "/api/billing/usage")
    line.sql("UPDATE api_keys SET expires_at = now()")
    line.wait_for(lambda: viewer.get("/api/billing/usage").status == 401, 2, "it has expired")
    assert "expired" in viewer.get("/api/billing/usage").json["error"]["message"]


def test_only_a_hash_of_a_key_is_stored(line, admin):
    rows = line.sql("SELECT row_to_json(k)::text AS row FROM api_keys k")
    assert len(rows) == 1 and admin.key not in rows[0].row and admin.key[3:20] not in rows[0].row


def test_roles_may_what_they_may(api):
    viewer, editor = api.with_key("viewer", of="acme"), api.with_key("editor", of="acme")
    assert viewer.post(TOKEN).code == "forbidden" and viewer.get("/api/billing/history").status == 200
    assert editor.post(TOKEN).status == 200


def test_a_key_is_for_its_tenant_alone(api):
    bound = api.with_key("editor", tenant="acme")
    assert bound.must("GET", "/api/billing/usage")["tenant"] == "acme"
    assert bound.of("acme").must("GET", "/api/billing/usage")["tenant"] == "acme"
    assert bound.of("globex").get("/api/billing/usage").code == "wrong_tenant"
    free = api.with_key("editor")
    assert free.get("/api/billing/usage").param == "X-Tenant-Id"
    for bad in ("", "x" * 129, "a\x01b"):
        assert free.of(bad).get("/api/billing/usage").status == 400, bad


def test_a_portal_token_shows_one_tenant_for_minutes(line, admin, api):
    made = admin.must("POST", TOKEN, {"expires_in_s": 60})
    browser = support.Api(line, api.stage, made["token"])
    assert browser.must("GET", "/api/billing/usage")["tenant"] == "acme"
    assert browser.of("globex").get("/api/billing/usage").status == 403
    assert browser.post(TOKEN).status == 403
    line.sql("UPDATE portal_tokens SET expires_at = now()")
    line.wait_for(lambda: browser.get("/api/billing/usage").status == 401, 2, "it has expired")


def test_a_portal_token_shows_nothing_of_the_operators_keys_and_errors(line, admin, api):
    line.sql("INSERT INTO usage_submissions (identifier, tenant, metric, transport, stripe_customer_id, event_name, period_start, usage_at,"
             " quantity, body, state, claim, last_error) VALUES ('ml-1', 'acme', 'api_calls', 'meter_events', 'cus_1', 'x', '2026-06-01',"
             " '2026-06-01', 1, '', 'failed', 1, 'the key rk_test_… lacks a permission')")
    browser = support.Api(line, api.stage, admin.must("POST", TOKEN)["token"])
    [told], [shown] = (who.must("GET", "/api/billing/history")["data"] for who in (admin, browser))
    assert told["actor"] == "boss" and told["detail"].pop("key")
    assert shown == {**told, "actor": None}
    [told], [shown] = (who.must("GET", "/api/billing/usage_records")["data"] for who in (admin, browser))
    assert told["last_error"].startswith("the key") and shown == {**told, "last_error": None}


def test_a_rate_is_kept_and_says_when_to_go_on(line):
    api = support.start(line, API_RATE_PER_S="5").with_key("viewer", of="acme")
    told = [api.get("/api/billing/usage") for _ in range(30)]
    refused = [answer for answer in told if answer.status == 429]
    assert refused and {answer.status for answer in told} == {200, 429}
    assert refused[0].code == "too_many_requests" and int(refused[0].headers["Retry-After"]) >= 1
    line.wait_for(lambda: api.get("/api/billing/usage").status == 200, 3, "it may go on")


def test_answers_are_not_kept_by_browsers(admin):
    headers = admin.get("/api/billing/usage").headers
    assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"] and headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("method,path,status,code,param", [
    ("GET", "/api/billing/nothing", 404, "unknown_path", None),
    ("GET", "/", 404, "unknown_path", None),
    ("GET", "/api/billing/usage/", 404, "unknown_path", None),
    ("PATCH", "/api/billing/usage", 405, "wrong_method", None),
    ("GET", "/api/billing/usage?x=1", 400, "unknown_parameter", "x"),
    ("GET", "/api/billing/history?limit=5&limit=6", 400, "duplicate_parameter", "limit"),
    ("GET", "/api/billing/history?limit=0", 400, "bad_parameter", "limit"),
    ("GET", "/api/billing/history?limit=101", 400, "bad_parameter", "limit"),
    ("GET", "/api/billing/history?limit=1e3", 400, "bad_parameter", "limit"),
    ("GET", "/api/billing/history?limit=99999999999999999999", 400, "bad_parameter", "limit"),
    ("GET", "/api/billing/history?kind='%20OR%20''='", 400, "bad_parameter", "kind"),
    ("GET", "/api/billing/history?kind=%zz", 400, "bad_address", None),
    ("GET", "/api/billing/history?kind=%00", 400, "bad_address", None),
    ("GET", "/api/billing/history?kind=%ff", 400, "bad_address", None),
    ("GET", "/api/billing/history?kind=%", 400, "bad_address", None),
    ("GET", "/api/billing/history?" + "&".join(f"p{n}=1" for n in range(40)), 400, "bad_address", None),
])
def test_what_is_wrong_with_an_address_is_named(admin, method, path, status, code, param):
    told = admin.ask(method, path)
    assert (told.status, told.code, told.param) == (status, code, param), told
    assert status != 405 or told.headers["Allow"] == "GET, POST"


@pytest.mark.parametrize("body,status,code,param", [
    ("{", 400, "bad_json", None), ("[]", 400, "bad_json", None), ("null", 400, "bad_json", None),
    ('{"x": 1}', 400, "unknown_parameter", "x"), ('{"expires_in_s": "60"}', 400, "bad_parameter", "expires_in_s"),
    ('{"expires_in_s": 60.0}', 400, "bad_parameter", "expires_in_s"), ('{"expires_in_s": null}', 400, "bad_parameter", "expires_in_s"),
    ('{"expires_in_s": 59}', 400, "bad_parameter", "expires_in_s"), ('{"expires_in_s": 99999999999999999999}', 400, "bad_json", None),
    ('{"expires_in_s": 1e999}', 400, "bad_json", None),
    ('{"expires_in_s": 60, "expires_in_s": 61}', 400, "duplicate_parameter", "expires_in_s"),
    ('{"a": ' + "[" * 20 + "]" * 20 + "}", 400, "bad_json", None), ("[" * 60000, 400, "bad_json", None),
    ('{"a": "\\ud800"}', 400, "bad_json", None), ('{"a\\u0000": 1}', 400, "bad_json", None), (b'{"a": "\xff"}', 400, "bad_json", None),
    ('{"a": "' + "x" * 70000 + '"}', 413, "body_too_large", None),
])
def test_what_is_wrong_with_a_body_is_named(line, admin, body, status, code, param):
    told = admin.post(TOKEN, body, headers={"Content-Type": "application/json"})
    assert (told.status, told.code, told.param) == (status, code, param), told
    assert line.value("SELECT count(*) FROM portal_tokens") == 0


def test_a_body_must_be_json(admin):
    assert admin.post(TOKEN, "expires_in_s=60", headers={"Content-Type": "application/x-www-form-urlencoded"}).status == 415
    assert admin.post(TOKEN, "{}", headers={"Content-Type": "application/json; charset=utf-8"}).status == 200
    assert admin.ask("GET", "/api/billing/usage", "{}").code == "unexpected_body"


def test_a_repetition_gets_the_same_answer(line, admin):
    wanted, headers = {"email": "a@acme.test", "url": None, "thresholds": None}, {"Idempotency-Key": "k1"}
    once = admin.put(ALERTS, wanted, headers=headers)
    again = admin.put(ALERTS, wanted, headers=headers)
    assert again.status == 200 and again.body == once.body and again.headers["Idempotency-Replayed"] == "true"
    assert line.value("SELECT count(*) FROM billing_history") == 1
    other = admin.put(ALERTS, {**wanted, "email": None}, headers=headers)
    assert (other.status, other.code) == (409, "idempotency_key_reused")
    assert admin.of("globex").put(ALERTS, wanted, headers=headers).json["tenant"] == "globex"
    line.sql("UPDATE api_requests SET created_at = now() - interval '25 hours'")
    assert admin.put(ALERTS, wanted, headers=headers).body != once.body
    assert admin.post(TOKEN, headers={"Idempotency-Key": "x" * 256}).param == "Idempotency-Key"


def test_a_secret_is_told_once_and_stored_nowhere(line, admin):
    headers, url = {"Idempotency-Key": "k"}, {"email": None, "url": "https://acme.test/x", "thresholds": None}
    token = admin.must("POST", TOKEN, headers=headers)["token"]
    secret = admin.must("PUT", ALERTS, url, headers={"Idempotency-Key": "a"})["secret"]
    assert secret.startswith("mlsec_")
    kept = str(line.sql("SELECT * FROM api_requests")) + str(line.sql("SELECT * FROM billing_history"))
    assert token not in kept and secret not in kept
    again = admin.post(TOKEN, headers=headers)
    assert (again.status, again.code) == (409, "told_once") and "another Idempotency-Key" in again.text, again
    again = admin.put(ALERTS, url, headers={"Idempotency-Key": "a"})
    assert (again.status, again.code) == (409, "told_once") and "set url to null" in again.text, again
    admin.must("PUT", ALERTS, {**url, "url": None}, headers={"Idempotency-Key": "b"})
    assert admin.must("PUT", ALERTS, url, headers={"Idempotency-Key": "c"})["secret"] not in (None, secret)
    assert line.value("SELECT count(*) FROM portal_tokens") == 1


def test_another_key_does_not_get_its_answer(line, admin, api):
    wanted, headers = {"email": "a@acme.test", "url": None, "thresholds": None}, {"Idempotency-Key": "k"}
    admin.must("PUT", ALERTS, wanted, headers=headers)
    other = api.with_key("editor", "other", of="acme").put(ALERTS, wanted, headers=headers)
    assert (other.status, other.code) == (409, "idempotency_key_reused"), other


def test_what_was_sent_to_stripe_is_forgotten_after_a_month(line, admin):
    line.sql("INSERT INTO stripe_operations (idempotency_key, tenant, operation, request_digest, path, body, state, begun_at)"
             " SELECT state || days, 'acme', 'create_customer', 'd', '/v1/customers', 'phone=1', state, now() - days * interval '1 day'"
             " FROM unnest(ARRAY['open', 'done', 'refused', 'spent']) state, unnest(ARRAY[29, 31]) days")
    line.start_api().wait_ready()
    line.wait_for(lambda: line.value("SELECT count(*) FROM stripe_operations WHERE state <> 'open'") == 3, 20, "old ones are dropped")
    told = {row.idempotency_key: row.body for row in line.sql("SELECT idempotency_key, body FROM stripe_operations")}
    assert told == {"open29": "phone=1", "done29": "phone=1", "refused29": "phone=1", "spent29": "phone=1", "open31": ""}


def test_of_many_at_once_one_is_done(line, admin):
    told = []
    threads = [threading.Thread(target=lambda: told.append(admin.post(TOKEN, headers={"Idempotency-Key": "k"}))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status for answer in told) == [200] + [409] * 15
    assert {answer.code for answer in told if answer.status == 409} <= {"request_in_progress", "told_once"}
    assert line.value("SELECT count(*) FROM portal_tokens") == 1


@pytest.mark.parametrize("point", ["api_before_commit", "api_after_commit"])
def test_what_died_is_done_once(line, point):
    line.must("meterctl", "migrate")
    key = support.make_key(line, "editor")
    dying = line.start_api(METERLINE_TEST_CRASH=point).wait_ready()
    with pytest.raises(OSError):
        support.Api(line, dying, key, "acme").post(TOKEN, headers={"Idempotency-Key": "k"})
    assert dying.wait_exit() == -9
    api = support.Api(line, line.start_api().wait_ready(), key, "acme")
    def answered():
        told = api.post(TOKEN, headers={"Idempotency-Key": "k"})
        return told.status == 200 if point == "api_before_commit" else told.code == "told_once"
    line.wait_for(answered, 20, "it is taken over, or was done")
    assert line.value("SELECT count(*) FROM portal_tokens") == line.value("SELECT count(*) FROM billing_history") == 1
    assert line.value("SELECT attempt FROM api_requests") == (2 if point == "api_before_commit" else 1)


def test_each_change_has_the_name_of_its_key(line, admin):
    admin.must("POST", TOKEN)
    told = admin.must("GET", "/api/billing/history")
    assert [(row["kind"], row["actor"]) for row in told["data"]] == [("portal_token_created", "boss")]
    assert told["has_more"] is False and admin.of("globex").must("GET", "/api/billing/history")["data"] == []
    for _ in range(4):
        admin.must("POST", TOKEN)
    page = admin.must("GET", "/api/billing/history", query={"limit": 3})
    rest = admin.must("GET", "/api/billing/history", query={"limit": 3, "starting_after": page["data"][-1]["id"]})
    ids = [int(row["id"]) for row in page["data"] + rest["data"]]
    assert len(ids) == 5 and ids == sorted(ids, reverse=True) and page["has_more"] and not rest["has_more"]


def test_the_document_is_there_for_everybody(line, api):
    document = support.Api(line, api.stage).must("GET", "/api/openapi.json")
    assert document["openapi"] == "3.1.0" and "/api/billing/usage" in document["paths"]
    assert json.dumps(document["paths"]["/api/billing/portal_token"]["post"]).count("Idempotency-Key") >= 1


def test_it_stops_when_it_is_told_to(line, api):
    api.stage.term()
    assert api.stage.logs("stopped", code=0)
