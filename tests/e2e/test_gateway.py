"""The quota door: what the emitter answers to checks and reservations, and what gateways in front of a service make of it."""

import http.client
import http.server
import json
import pathlib
import re
import shutil
import socket
import threading
import time

import pytest

from line import process, wait_until
from line.paths import ROOT
from support.emitter_client import Client

GATEWAY = ROOT / "deploy" / "gateway"
KEYS = {"acme": "key-of-acme", "globex": "key-of-globex"}


def limit(line, tenant, included, cap="hard", used="0"):
    """As webhookd and the aggregator write it."""
    line.client().hset(f"quota:{{{tenant}}}", mapping={
        "status": "active", "plan": "standard", "api_calls.limit": included, "api_calls.cap": cap, "api_calls.used": used,
        "api_calls.period_end": int(time.time() * 1000) + 3600_000})


@pytest.fixture
def door(line):
    """An emitter, and the functions that webhookd loads."""
    line.start_webhookd(STRIPE_SECRET_KEY=None, WEBHOOKD_HEAL_S=3600).wait_ready()
    line.wait_for(lambda: line.client().function_list("meterline_quota"), 20, "the functions")
    return line.start_emitter(EMITTER_SPOOL=str(line.folder / "spool"), QUOTA_CACHE_MS="100", QUOTA_TIMEOUT_MS="10000").wait_ready()


def check(client, tenant, quantity="1", metric="api_calls", **headers):
    return client.call("GET", f"/v1/quota/check?tenant={tenant}&metric={metric}&quantity={quantity}", **headers)


def test_a_check_says_what_is_used_and_when_it_begins_anew(line, door):
    client = Client(door)
    limit(line, "acme", "1000.5", used="990.25")
    status, answer, headers = check(client, "acme", "10.25")
    assert status == 200 and answer["allowed"] and (answer["verdict"], answer["reason"]) == ("allow", "ok")
    assert (answer["used"], answer["limit"], answer["remaining"], answer["cap"]) == ("990.25", "1000.5", "10.25", "hard")
    assert headers["ratelimit-policy"] == '"api_calls";q=1000'
    assert re.fullmatch(r'"api_calls";r=10;t=3[56]\d\d', headers["ratelimit"]), headers
    assert re.fullmatch(r"20\d\d-.*T.*Z", headers["meterline-as-of"]) and headers["meterline-verdict"] == "allow"
    status, answer, headers = check(client, "acme", "10.26")
    assert status == 429 and not answer["allowed"] and answer["reason"] == "hard_cap" == headers["meterline-reason"]
    assert 3500 < int(headers["retry-after"]) <= 3600
    status, answer, _ = client.call("GET", "/v1/quota/check", X_Tenant="acme", X_Metric="api_calls", X_Quantity="10.26")
    assert status == 429
    limit(line, "soft", "1", "soft", used="5")
    assert check(client, "soft")[1]["verdict"] == "allow_over"
    assert check(client, "acme", metric="unheard_of")[1]["reason"] == "unknown_metric"
    assert check(client, "acme", quantity="99", deny="403")[0] == 429
    status, _, headers = client.call("GET", "/v1/quota/check?tenant=acme&metric=api_calls&quantity=99&deny=403")
    assert status == 403 and "retry-after" in headers
    for query in ("metric=api_calls", "tenant=acme", "tenant=acme&metric=A", "tenant=acme&metric=m&quantity=-1",
                  "tenant=acme&metric=m&quantity=1e3", "tenant=acme&metric=m&quantity="):
        assert client.call("GET", f"/v1/quota/check?{query}")[0] == 400, query


def test_behind_the_path_only_headers_count(line, door):
    """The path and query of a client that a gateway hands on: it may not name a tenant for itself."""
    client = Client(door)
    limit(line, "acme", "1", used="1")
    limit(line, "globex", "1")
    for method in "GET", "POST", "DELETE":
        status, answer, _ = client.call(method, "/v1/quota/check/some/path?tenant=globex&quantity=0&deny=403",
                                        X_Tenant="acme", X_Metric="api_calls")
        assert (status, answer["tenant"], answer["quantity"]) == (429, "acme", "1"), (method, answer, line.client().hgetall("quota:{acme}"))


def test_an_answer_is_as_old_as_it_may_be(line, door):
    client = Client(door)
    limit(line, "acme", "10")
    assert check(client, "acme")[0] == 200
    line.client().hset("quota:{acme}", "api_calls.used", "10")
    began = time.monotonic()
    while check(client, "acme")[0] == 200:
        assert time.monotonic() - began < 5
    calls = line.client().info("commandstats")["cmdstat_fcall"]["calls"]
    began = time.monotonic()
    for _ in range(300):
        assert check(client, "acme")[0] == 429
    asked = line.client().info("commandstats")["cmdstat_fcall"]["calls"] - calls
    assert asked <= (time.monotonic() - began) / 0.05 + 3


@pytest.mark.own_servers
def test_many_who_ask_the_same_share_one_call(line, door):
    limit(line, "acme", "10")
    line.redis.pause()
    answers, threads = [], [threading.Thread(target=lambda: answers.append(check(Client(door), "acme"))) for _ in range(20)]
    try:
        for thread in threads:
            thread.start()
        time.sleep(0.1)
    finally:
        line.redis.resume()
    for thread in threads:
        thread.join()
    assert [status for status, _, _ in answers] == [200] * 20


@pytest.mark.own_servers
@pytest.mark.parametrize("fail, status", [("open", 200), ("closed", 429)])
def test_without_redis_it_answers_as_it_was_told(line, fail, status):
    door = line.start_emitter(EMITTER_SPOOL=str(line.folder / "spool"), QUOTA_FAIL=fail).wait_ready()
    line.redis.stop()
    wait_until(lambda: check(Client(door), "acme")[1]["verdict"] == "unknown", 20, "Redis is missed")
    found, answer, headers = check(Client(door), "acme")
    assert (found, answer["allowed"], answer["reason"]) == (status, status == 200, "redis_unavailable")
    assert headers["meterline-quota-fail"] == fail and ("retry-after" in headers) == (fail == "closed")
    door.wait_log("quota_not_answered")
    assert door.ready() and door.metric("meterline_quota_answers_total", verdict="unknown") >= 1


def call(client, path, **body):
    return client.post(body, path=f"/v1/quota/{path}")


def test_reservations_hold_until_the_event_is_counted(line, door):
    client = Client(door)
    limit(line, "acme", "10")
    ask = {"tenant": "acme", "metric": "api_calls"}
    status, answer, _ = call(client, "reserve", **ask, id="r1", quantity=6)
    assert (status, answer["verdict"], answer["quantity"]) == (200, "allow", "6")
    status, answer, _ = call(client, "reserve", **ask, id="r2", quantity="5")
    assert (status, answer["reason"], answer["held"]) == (429, "hard_cap", "6")
    assert call(client, "reserve", **ask, id="r1", quantity=6)[0] == 200
    status, answer, _ = call(client, "settle", **ask, id="r1", event={"quantity": "4", "model": "large"})
    assert status == 200 and answer["settled"] and answer["event"] == {"status": "accepted", "id": "r1"}
    (entry, fields), = line.client().xrange("usage:events")
    assert entry == answer["entry"]
    assert {name: fields[name] for name in ("tenant", "metric", "quantity", "id", "model")} == {
        **ask, "quantity": "4", "id": "r1", "model": "large"}
    assert check(client, "acme", "6.5")[1]["held"] == "4"
    line.client().hset("quota:{acme}", mapping={"api_calls.used": "4", "api_calls.as_of": entry})
    wait_until(lambda: check(client, "acme", "6")[1]["held"] == "0", 20, "what is counted is not held")
    assert check(client, "acme", "6")[1]["used"] == "4"
    # Given back, and what is no reservation.
    assert call(client, "reserve", **ask, id="r3", quantity="6")[0] == 200
    assert call(client, "settle", **ask, id="r3")[1] == {"settled": True, "entry": None}
    assert call(client, "settle", **ask, id="r3")[1] == {"settled": False, "entry": None}
    assert call(client, "reserve", **ask, id="r4", quantity="6")[0] == 200


def test_reservations_that_make_no_sense_are_refused(line, door):
    client = Client(door)
    ask = {"tenant": "acme", "metric": "api_calls"}
    for path, body in [("reserve", {**ask, "quantity": 1}), ("reserve", {**ask, "id": "a b"}), ("reserve", {**ask, "id": "a", "ttl_ms": 0}),
                       ("reserve", {**ask, "id": "a", "quantity": "-1"}), ("reserve", {"metric": "api_calls", "id": "a"}),
                       ("settle", {**ask, "id": "a", "entry": "x"}), ("settle", {**ask, "id": "a", "event": 5}),
                       ("settle", {**ask, "id": "a", "event": {"tenant": "globex"}}),
                       ("settle", {**ask, "id": "a", "event": {"quantity": "1e3"}})]:
        status, answer, _ = call(client, path, **body)
        assert status == 400 and answer["error"]["message"], (path, body, answer)
    assert client.post("[]", path="/v1/quota/reserve")[0] == 400
    assert line.client().xlen("usage:events") == 0


@pytest.mark.own_servers
def test_what_cannot_be_settled_is_emitted_all_the_same(line):
    door = line.start_emitter(EMITTER_SPOOL=str(line.folder / "spool")).wait_ready()
    client = Client(door)
    line.redis.stop()
    status, answer, _ = call(client, "settle", tenant="acme", metric="api_calls", id="r1", event={})
    assert (status, answer["settled"], answer["event"]["id"]) == (202, False, "r1")
    line.redis.start()
    wait_until(lambda: [fields["id"] for _, fields in line.client().xrange("usage:events")] == ["r1"], 30, "it is there")


# Gateways.

class Upstream:
    """A service behind a gateway. It counts whom it served."""

    def __init__(self):
        served = self.served = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                served.append(self.headers["X-Tenant"])
                self.send_response(200)
                self.send_header("Content-Length", "6")
                self.end_headers()
                self.wfile.write(b"served")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start_nginx(folder, port, service, emitter):
    text = (GATEWAY / "nginx.conf").read_text(encoding="utf-8")
    for old, new in (("127.0.0.1:8091", f"127.0.0.1:{emitter}"), ("127.0.0.1:8000", f"127.0.0.1:{service}"),
                     ("127.0.0.1:8088", f"127.0.0.1:{port}")):
        assert text.count(old) == 1
        text = text.replace(old, new)
    (folder / "meterline.conf").write_text(text, encoding="utf-8")
    temporary = "".join(f"{name}_temp_path {folder}/{name};\n"
                        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}include {folder}/meterline.conf;\n}}\n", encoding="utf-8")
    return process.spawn([shutil.which("nginx") or "/usr/sbin/nginx", "-c", folder / "nginx.conf", "-p", folder,
                          "-e", folder / "error.log"], env={})


def start_caddy(folder, port, service, emitter):
    text = (GATEWAY / "Caddyfile").read_text(encoding="utf-8")
    for old, new in ((":8088 {", f"http://127.0.0.1:{port} {{"), ("meterline:8091", f"127.0.0.1:{emitter}"),
                     ("service:8000", f"127.0.0.1:{service}")):
        assert text.count(old) == 1
        text = text.replace(old, new)
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n}}\n{text}", encoding="utf-8")
    log = open(folder / "caddy.log", "wb")
    return process.spawn([shutil.which("caddy") or "/usr/bin/caddy", "run", "--adapter", "caddyfile",
                          "--config", folder / "Caddyfile"],
                         env={"HOME": str(folder), "XDG_DATA_HOME": str(folder)}, stderr=log, stdout=log)


def get(port, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", "/anything?tenant=globex", headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


def answers(port):
    try:
        return get(port)[0] == 401
    except OSError:
        return False


@pytest.mark.parametrize("start", [start_nginx, start_caddy], ids=["nginx", "caddy"])
def test_a_gateway_turns_away_who_is_over_a_hard_limit(line, folder, start):
    """The whole way: events by HTTP, counted, and then a gateway in front of a service."""
    line.start_webhookd(STRIPE_SECRET_KEY=None).wait_ready()
    line.start_aggregator().wait_ready()
    line.sql("INSERT INTO tenant_limits (tenant, metric, included, cap) VALUES ('acme', 'api_calls', 5, 'hard'), "
             "('globex', 'api_calls', 5, 'hard')")
    line.wait_for(lambda: line.client().hget("quota:{globex}", "api_calls.limit") == "5", 30, "limits")
    door = line.start_emitter(EMITTER_SPOOL=str(line.folder / "spool")).wait_ready()
    service, port = Upstream(), free_port()
    place = pathlib.Path(folder) / "gateway"
    place.mkdir()
    gateway = start(place, port, service.port, door.port("events"))
    try:
        wait_until(lambda: answers(port), 30, "the gateway answers")
        for key in KEYS.values():
            status, text, headers = get(port, **{"X-Api-Key": key, "X-Tenant": "globex"})
            assert (status, text) == (200, "served")
        assert service.served == ["acme", "globex"]
        client = Client(door)
        assert client.post([{"tenant": "acme", "metric": "api_calls", "quantity": 5}])[0] == 202
        wait_until(lambda: get(port, **{"X-Api-Key": KEYS["acme"]})[0] == 429, 30, "acme is turned away")
        served = len(service.served)
        for _ in range(10):
            status, text, headers = get(port, **{"X-Api-Key": KEYS["acme"], "X-Tenant": "globex"})
            assert status == 429 and int(headers["retry-after"]) > 0
            assert headers["content-type"].startswith("application/json") and "hard_cap" in text and json.loads(text)
            assert get(port, **{"X-Api-Key": KEYS["globex"]})[0] == 200
        assert service.served[served:] == ["globex"] * 10
        assert get(port, **{"X-Api-Key": "none"})[0] == 401
        if start is start_nginx:
            door.kill9()
            assert get(port, **{"X-Api-Key": KEYS["acme"]})[0] == 200
    finally:
        gateway.kill()
        gateway.wait()
        service.close()
