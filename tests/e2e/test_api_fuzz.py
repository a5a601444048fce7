"""Requests at random, driven by openapi.json: no 500, no answer that it does not describe, no other tenant's data, no write by a viewer."""

import os

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from support import api as support
from support import api_fuzz
from support.seeds import SOAKING, new_seed
from support.two_tenants import fill_all

MARK = "others_own"
REQUESTS = int(os.environ.get("API_FUZZ", 10_000 if SOAKING else 400))


def test_whatever_is_asked_the_answer_is_one_that_is_described(line):
    line.start_sandbox(rate_per_s=0)
    line.catalog()
    fill_all(line, MARK)
    api = support.start(line, API_RATE_PER_S=1_000_000)
    callers = {"nobody": api.of("acme")}
    for role in ("viewer", "editor", "admin"):
        callers[f"{role} of acme"] = api.with_key(role, f"{role}-bound", tenant="acme")
        callers[role] = api.with_key(role, f"{role}-free", of="acme")
    callers["portal"] = support.Api(line, api.stage, callers["editor"].must("POST", "/api/billing/portal_token", {"expires_in_s": 86400})["token"])
    document = api.must("GET", "/api/openapi.json")
    outcomes = {}
    written = line.value("SELECT coalesce(max(history_id), 0) FROM billing_history")

    @seed(int(new_seed()))
    @settings(max_examples=REQUESTS, deadline=None, database=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(api_fuzz.requests(document), st.sampled_from(sorted(callers)), st.sampled_from([None, None, None, "acme", "globex", "", "x" * 200]))
    def ask(request, who, tenant):
        path, template, method, operation, headers, body = request
        caller = callers[who]
        if tenant is not None:
            headers = {**headers, "X-Tenant-Id": tenant}
        answer = caller.ask(method, path, body, headers=headers)
        what = f"{who}: {method} {path} {headers} {body!r:.300} -> {answer}"
        try:
            if answer.status == 404 and answer.code == "unknown_path":
                return   # A value of a path that is none.
            if answer.status == 400 and answer.code == "bad_address":
                return
            api_fuzz.check(document, operation, answer)
        except AssertionError as fault:
            raise AssertionError(f"{what}\n{fault}") from None
        outcomes[answer.status] = outcomes.get(answer.status, 0) + 1
        is_of_acme = operation["x-role"] != "admin" and (who.endswith("of acme") or who == "portal" or tenant in (None, "acme"))
        assert not is_of_acme or MARK not in answer.text.replace(path, ""), f"another tenant's: {what}"
        role = {"nobody": "public", "portal": "viewer"}.get(who, who.split()[0])
        ranks = ["public", "viewer", "editor", "admin"]
        if ranks.index(role) < ranks.index(operation["x-role"]):
            assert answer.status in (400, 401, 403, 413), f"{role} got through: {what}"

    ask()
    assert api.stage.running and api.stage.logs("request_failed", status=500) == []
    assert {200, 400, 401, 403} <= outcomes.keys(), outcomes
    writers = {row.actor for row in line.sql("SELECT DISTINCT actor FROM billing_history WHERE history_id > %s AND actor IS NOT NULL", written)}
    assert not writers & {"viewer-bound", "viewer-free"}, writers
