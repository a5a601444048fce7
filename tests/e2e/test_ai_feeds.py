"""What gateways of AI models report ends in the right metric, tenant and quantity, once."""

import copy
import json
import time

import pytest

from line import Line, wait_until
from line.paths import CATALOG
from support.ai_payloads import LITELLM
from support.emitter_client import Client, statuses

STREAM = "usage:events"
RULES = [{"provider": "openai", "model": "gpt-4o-mini*", "kind": "input", "metric": "api_calls"},
         {"kind": "input", "metric": "llm_tokens", "dimensions": ["provider", "model", "kind"]},
         {"kind": "output", "metric": "llm_tokens", "dimensions": ["kind"]},
         {"model": "gpt-4o-2*", "kind": "cached", "metric": "llm_tokens", "dimensions": ["kind"]}]
# As the API reference of OpenAI shows it.
CHAT = {"id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT", "object": "chat.completion", "created": 0, "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello!", "refusal": None}, "logprobs": None,
                     "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29,
                  "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
                  "completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 0}},
        "service_tier": "default"}
RESPONSE = {"id": "resp_67ccd2bed1ec8190b14f964abc054267", "object": "response", "created_at": 0, "status": "completed",
            "model": "gpt-4.1-2025-04-14", "usage": {"input_tokens": 36, "input_tokens_details": {"cached_tokens": 0},
                                                     "output_tokens": 87, "output_tokens_details": {"reasoning_tokens": 0},
                                                     "total_tokens": 123}}
SPAN = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "chat gpt-4o", "kind": 3,
        "startTimeUnixNano": "0", "endTimeUnixNano": "0",
        "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
                       {"key": "gen_ai.system", "value": {"stringValue": "openai"}},
                       {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o"}},
                       {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "100"}},
                       {"key": "gen_ai.usage.output_tokens", "value": {"intValue": 180}}]}
OTHER_SPAN = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b175", "name": "GET /",
              "attributes": [{"key": "http.request.method", "value": {"stringValue": "GET"}}]}


@pytest.fixture
def client(folder):
    line = Line(folder)
    try:
        line.redis.start()
        catalog = {**json.loads(CATALOG.read_text(encoding="utf-8")), "gateway_usage": RULES}
        (folder / "catalog.json").write_text(json.dumps(catalog), encoding="utf-8")
        daemon = line.start_emitter(EMITTER_SPOOL=str(folder / "spool"), EMITTER_CATALOG=str(folder / "catalog.json")).wait_ready()
        own = Client(daemon)
        own.line = line
        yield own
    finally:
        line.close()


def now():
    return int(time.time())


def taken(client, count):
    """What is in the stream: {id: (tenant, metric, quantity, dimensions)}."""
    redis = client.line.client()
    wait_until(lambda: redis.xlen(STREAM) >= count, 20, f"{count} entries")
    found = {}
    for _, fields in redis.xrange(STREAM):
        more = {name: value for name, value in fields.items() if name in ("provider", "model", "kind")}
        found[fields["id"]] = (fields["tenant"], fields["metric"], fields["quantity"], more)
    assert len(found) == count
    return found


def openai(client, body, **headers):
    return client.post(body, path="/v1/usage/openai", **{"X-Tenant": "acme", **headers})


def test_a_chat_completion(client):
    chat = {**CHAT, "created": now()}
    assert openai(client, chat)[0] == 202
    assert openai(client, {**chat, "id": "mini", "model": "gpt-4o-mini-2024-07-18"})[0] == 202
    assert taken(client, 5) == {
        f"{CHAT['id']} input": ("acme", "llm_tokens", "15", {"provider": "openai", "model": CHAT["model"], "kind": "input"}),
        f"{CHAT['id']} output": ("acme", "llm_tokens", "10", {"kind": "output"}),
        f"{CHAT['id']} cached": ("acme", "llm_tokens", "4", {"kind": "cached"}),
        "mini input": ("acme", "api_calls", "19", {}), "mini output": ("acme", "llm_tokens", "10", {"kind": "output"})}
    assert {fields["ts"] for _, fields in client.line.client().xrange(STREAM)} == {f"{chat['created']}000"}


def test_a_response_and_the_tenant_in_metadata(client):
    body = {**RESPONSE, "created_at": now(), "metadata": {"tenant": "globex"}}
    assert client.post(body, path="/v1/usage/openai")[0] == 202
    assert {tenant for tenant, *_ in taken(client, 2).values()} == {"globex"}
    status, answer, _ = client.post({**RESPONSE, "id": "nobody"}, path="/v1/usage/openai")
    assert status == 400 and answer["events"][0]["error"]["message"] == "tenant: is missing"


def test_a_stream_has_its_usage_at_the_end(client):
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": now(), "model": "gpt-4o-2024-08-06",
             "choices": [{"index": 0, "delta": {"content": "data: {"}}], "usage": None}
    last = {**chunk, "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}}
    lines = [f"data: {json.dumps(chunk)}", f"data: {json.dumps(last)}", "data: [DONE]", ""]
    assert openai(client, "\n\n".join(lines), **{"Content-Type": "text/event-stream"})[0] == 202
    completed = {"type": "response.completed", "response": {**RESPONSE, "created_at": now()}}
    text = f"event: response.created\r\ndata: {{}}\r\n\r\nevent: response.completed\r\ndata: {json.dumps(completed)}\r\n\r\n"
    assert openai(client, text, **{"Content-Type": "text/event-stream"})[0] == 202
    assert {name: quantity for name, (_, _, quantity, _) in taken(client, 4).items()} == {
        "chatcmpl-1 input": "9", "chatcmpl-1 output": "7", f"{RESPONSE['id']} input": "36", f"{RESPONSE['id']} output": "87"}
    status, answer, _ = openai(client, f"data: {json.dumps(chunk)}\n\n", **{"Content-Type": "text/event-stream"})
    assert status == 400 and "include_usage" in answer["error"]["message"]


def test_a_payload_of_litellm(client):
    at = time.time()
    payload = {**LITELLM, "startTime": at - 1, "endTime": at}
    other = copy.deepcopy(payload) | {"id": "b", "end_user": "globex"}
    other["metadata"]["user_api_key_team_id"] = None
    failed = {**payload, "id": "c", "status": "failure", "prompt_tokens": 0, "completion_tokens": 0, "response": None}
    status, answer, _ = client.post([payload, other, failed], path="/v1/usage/litellm")
    assert (status, answer["accepted"]) == (202, 4)
    found = taken(client, 4)
    assert found["chatcmpl-68bb9ed5 input"] == ("acme", "llm_tokens", "13", {
        "provider": "anthropic", "model": "claude-3-5-sonnet-20240620", "kind": "input"})
    assert found["b output"] == ("globex", "llm_tokens", "30", {"kind": "output"})


def traces(*spans, tenant="acme"):
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "gateway"}},
                               {"key": "tenant.id", "value": {"stringValue": tenant}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "otel"}, "spans": list(spans)}]}]}


def at_now(span):
    return {**span, "endTimeUnixNano": f"{time.time_ns()}"}


def test_spans_and_logs_of_opentelemetry(client):
    status, answer, _ = client.post(traces(at_now(SPAN), OTHER_SPAN), path="/v1/traces")
    assert (status, answer) == (200, {})
    record = {"timeUnixNano": f"{time.time_ns()}", "attributes": [
        *SPAN["attributes"], {"key": "gen_ai.response.id", "value": {"stringValue": "chatcmpl-9"}},
        {"key": "tenant", "value": {"stringValue": "globex"}}]}
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    assert client.post(logs, path="/v1/logs")[0] == 200
    own = f"{SPAN['traceId']}-{SPAN['spanId']}"
    found = taken(client, 4)
    assert found[f"{own} input"] == ("acme", "llm_tokens", "100", {"provider": "openai", "model": "gpt-4o", "kind": "input"})
    assert found[f"{own} output"][2] == "180" and found["chatcmpl-9 input"][0] == "globex"


def test_what_is_malformed_is_refused_clearly(client):
    def chat(**usage):
        return {**CHAT, "created": now(), "usage": {**CHAT["usage"], **usage}}
    for bad in [{}, {**CHAT, "usage": None}, {**CHAT, "id": ""}, {**CHAT, "id": 5}, chat(prompt_tokens=-1), chat(prompt_tokens=1.5),
                chat(completion_tokens="x"), chat(prompt_tokens_details={"cached_tokens": 20}), {**chat(), "id": "x" * 300}, [1]]:
        status, answer, _ = openai(client, bad)
        assert status == 400, (bad, answer)
    for bad in [5, "x", {}, {**LITELLM, "id": None}, {**LITELLM, "prompt_tokens": -1}, {**LITELLM, "prompt_tokens": 1e3},
                {**LITELLM, "metadata": None}, {**LITELLM, "completion_tokens": [1]}, {**LITELLM, "endTime": 1e9},
                {**LITELLM, "id": "x" * 300}]:
        status, answer, _ = client.post([bad], path="/v1/usage/litellm")
        assert status == 400 and statuses(answer)[0] == "refused", (bad, answer)

    def span(value, name="gen_ai.usage.input_tokens"):
        return at_now({**SPAN, "attributes": [{"key": name, "value": value}]})
    for bad in [span({"intValue": "-1"}), span({"intValue": "x"}), span({"doubleValue": 1}), span({"stringValue": "1"}), span(5), span({}),
                {**span({"intValue": 1}), "traceId": "12"}, {**span({"intValue": 1}), "spanId": None},
                {**span({"intValue": 1}), "endTimeUnixNano": "1000000000"}]:
        status, answer, _ = client.post(traces(bad), path="/v1/traces")
        assert status == 400 and answer["message"], (bad, answer)
    for bad in ["", "[]", "{}", '{"resourceSpans": 5}', "\x0a\x00"]:
        assert client.post(bad, path="/v1/traces")[0] == 400
    status, answer, _ = client.post(traces(span({"intValue": "-1"}), at_now(SPAN)), path="/v1/traces")
    assert (status, answer["partialSuccess"]["rejectedSpans"]) == (200, "1")
    assert client.post("x", "application/x-protobuf", "/v1/traces")[0] == 415
    taken(client, 2)


def test_without_a_table_nothing_is_made_up(folder):
    line = Line(folder)
    try:
        line.redis.start()
        own = Client(line.start_emitter(EMITTER_SPOOL=str(folder / "spool")).wait_ready())
        assert own.post(CHAT, path="/v1/usage/openai", X_Tenant="acme")[1]["error"]["code"] == "not_configured"
        (folder / "catalog.json").write_text(json.dumps({"metrics": [], "gateway_usage": [{"kind": "fast"}]}), encoding="utf-8")
        done = line.run("emitter", "--daemon", EMITTER_CATALOG=str(folder / "catalog.json"))
        assert done.returncode == 1 and "gateway_usage: rule 1: kind must be" in done.stderr
    finally:
        line.close()
