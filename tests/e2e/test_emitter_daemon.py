"""What the emitter's daemon answered with yes is in the stream, in whatever form it came."""

import http.client
import json
import time

import pytest

from line import Line, wait_until
from line.paths import CATALOG
from support.emitter_client import Client, statuses

STREAM = "usage:events"
KEYS = "key-of-acme-12345=acme,key-of-all-tenants=*"


@pytest.fixture
def line(folder):
    """Only Redis: the emitter needs nothing else."""
    own = Line(folder)
    try:
        own.redis.start()
        yield own
    finally:
        own.close()


def start(line, spool=True, **settings):
    settings = {"EMITTER_SPOOL": str(line.folder / "spool") if spool else None, **settings}
    return line.start_emitter(**settings).wait_ready()


def event(**more):
    return {"tenant": "acme", "metric": "api_calls", **more}


def entries(line, count):
    client = line.client()
    wait_until(lambda: client.xlen(STREAM) >= count, 20, f"{count} entries")
    return [fields for _, fields in client.xrange(STREAM)]


def iso(ms):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms / 1000)) + f".{ms % 1000:03d}Z"


def test_json_comes_as_one_event_an_array_or_lines(line):
    client = Client(start(line))
    status, answer, _ = client.post('{\n "tenant": "acme", "metric": "api_calls", "quantity": 0.30, "id": "a"}')
    assert (status, answer["events"]) == (202, [{"status": "accepted", "id": "a"}])
    status, answer, _ = client.post([event(id="b\n\"ü"), event(id="c", model="{[\"")])
    assert (status, [one["id"] for one in answer["events"]]) == (202, ["b\n\"ü", "c"])
    status, answer, _ = client.post(f'{json.dumps(event(id="d"))}\r\n\n{json.dumps(event())}', "application/x-ndjson; charset=utf-8")
    assert status == 202
    made = answer["events"][1]["id"]
    found = entries(line, 5)
    assert [fields["id"] for fields in found] == ["a", "b\n\"ü", "c", "d", made]
    assert found[0]["quantity"] == "0.30" and found[2]["model"] == "{[\""
    assert client.post([])[:2] == (202, {"accepted": 0, "refused": 0, "unavailable": 0, "events": []})


def test_each_event_is_answered_for(line):
    client = Client(start(line, EMITTER_CATALOG=str(CATALOG)))
    status, answer, _ = client.post([event(), event(quantity="1e3"), event(metric="unheard_of"), event(id="last")])
    assert status == 207 and statuses(answer) == ["accepted", "refused", "refused", "accepted"]
    assert (answer["accepted"], answer["refused"]) == (2, 2)
    assert answer["events"][1]["error"] == {"code": "invalid_event", "message": "quantity: must be written without an exponent"}
    assert client.post(event(tenant=""))[0] == 400
    assert len(entries(line, 2)) == 2


def test_csv_names_its_fields_and_foreign_names_are_mapped(line):
    client = Client(start(line))
    text = 'customer,"metric",quantity,note\r\nacme,api_calls,2,"a ""b"",\nc"\r\nacme,api_calls,,\r\nacme,api_calls\r\n'
    status, answer, _ = client.post(text, "text/csv", "/v1/events?map=customer=tenant")
    assert status == 207 and statuses(answer) == ["accepted", "accepted", "refused"]
    first, second = entries(line, 2)
    assert (first["quantity"], first["note"]) == ("2", 'a "b",\nc') and "quantity" not in second
    for bad, why in [("", "names the fields"), ("Customer ID,metric\n", "must be mapped"), ("tenant,tenant\n", "two fields"),
                     ('te"nant\n', "quote")]:
        status, answer, _ = client.post(bad, "text/csv")
        assert status == 400 and why in answer["error"]["message"], answer
    status, answer, _ = client.post(text, "text/csv", "/v1/events?map=custmer=tenant")
    assert status == 400


def test_cloud_events_structured_batched_and_binary(line):
    client = Client(start(line))
    now = int(time.time() * 1000)
    one = {"specversion": "1.0", "id": "7", "source": "/shop", "type": "api_calls", "subject": "acme", "time": iso(now),
           "data": {"quantity": 1.25, "model": "large"}}
    assert client.post(json.dumps(one).replace("1.25", "1.50"), "application/cloudevents+json")[1]["events"] == [{"status": "accepted", "id": "/shop 7"}]
    encoded = {**one, "id": "8", "data_base64": "eyJxdWFudGl0eSI6ICIyIn0="}
    del encoded["data"]
    bad = [{**one, "specversion": "0.3"}, {**one, "id": ""}, {**one, "time": "yesterday"}, {**one, "data": [1]},
           {**one, "data": {"id": "x"}}, {**one, "type": "com.example.calls"}, {**one, "subject": 5},
           {name: value for name, value in one.items() if name != "source"}, {**one, "data_base64": "!"}, 5]
    status, answer, _ = client.post([encoded, *bad], "application/cloudevents-batch+json")
    assert status == 207 and statuses(answer) == ["accepted"] + ["refused"] * len(bad), answer
    status, answer, _ = client.post({"quantity": "3"}, ce_specversion="1.0", ce_id="9", ce_source="/%C3%BC", ce_type="api_calls",
                                    ce_subject="acme", ce_time=iso(now + 3600_000).replace("Z", "+01:00"))
    assert (status, answer["events"][0]["id"]) == (202, "/ü 9")
    found = entries(line, 3)
    assert (found[0]["quantity"], found[0]["ts"], found[0]["model"]) == ("1.50", str(now), "large")
    assert (found[1]["quantity"], found[1]["id"]) == ("2", "/shop 8")
    assert (found[2]["quantity"], found[2]["ts"]) == ("3", str(now))


def test_a_body_that_cannot_be_read_is_refused_as_a_whole(line):
    client = Client(start(line))
    for body in ["", "[", '[{"tenant":"acme","metric":"m"}', '{"a":"}', "5", '[{"tenant":"acme","metric":"m"},]', "{} {}"]:
        status, answer, _ = client.post(body)
        assert (status, answer["error"]["code"]) == (400, "invalid_body"), (body, answer)
    assert client.post("x", "application/xml")[0] == 415
    assert client.post(event(), Content_Encoding="gzip")[0] == 415
    assert client.call("GET", "/v1/events")[0] == 405 and client.call("GET", "/")[0] == 404
    assert line.client().xlen(STREAM) == 0


def test_a_key_is_for_its_tenant(line):
    client = Client(start(line, EMITTER_KEYS=KEYS))
    assert client.post(event())[0] == 401
    assert client.post(event(), Authorization="Bearer key-of-acme-12346")[0] == 401
    acme = {"Authorization": "Bearer key-of-acme-12345"}
    status, answer, _ = client.post([{"metric": "api_calls"}, event(tenant="other")], **acme)
    assert status == 207 and statuses(answer) == ["accepted", "refused"]
    assert "another tenant" in answer["events"][1]["error"]["message"]
    assert client.post(event(), X_Tenant="other", **acme)[0] == 403
    assert client.call("GET", "/v1/quota/check?tenant=other&metric=m", **acme)[0] == 403
    both = {"X-Api-Key": "key-of-all-tenants", "X-Tenant": "third"}
    assert client.post([{"metric": "api_calls"}, event(tenant="fourth")], **both)[0] == 202
    assert [fields["tenant"] for fields in entries(line, 3)] == ["acme", "third", "fourth"]


def test_keys_from_a_file_change_while_it_runs(line):
    path = line.folder / "keys"
    path.write_text(KEYS + "\n")
    client = Client(start(line, EMITTER_KEYS_FILE=str(path)), X_Api_Key="another-key-of-acme")
    assert client.post(event())[0] == 401
    path.write_text("another-key-of-acme=acme\n")
    wait_until(lambda: client.post(event())[0] == 202, 20, "the new key is known")


def test_limits_of_rate_and_body(line):
    client = Client(start(line, EMITTER_RATE_PER_S="10", EMITTER_BODY_MAX_KB="16"))
    assert client.post([event() for _ in range(100)])[0] == 202
    status, answer, headers = client.post(event())
    assert (status, answer["error"]["code"]) == (429, "rate_limited") and 1 <= int(headers["retry-after"]) <= 10
    assert client.post("x" * (20 << 10))[0] == 413


def test_without_a_folder_yes_means_that_redis_has_it(line):
    daemon = start(line, spool=False, EMITTER_WAIT_MS="500")
    client = Client(daemon)
    for number in range(20):
        assert client.post(event(id=f"{number}"))[0] == 202
        assert line.client().xlen(STREAM) == number + 1
    line.redis.stop()
    status, answer, headers = client.post([event(id="late"), event()])
    assert (status, answer["error"]["code"], headers["retry-after"]) == (503, "unconfirmed", "1")
    assert answer["ids"][0] == "late" and len(answer["ids"]) == 2
    wait_until(lambda: not daemon.ready(), 20, "it is not ready without Redis")
    line.redis.start()
    wait_until(lambda: line.client().xlen(STREAM) >= 22, 20, "they arrive all the same")


def test_with_a_folder_events_outlive_redis_and_the_daemon(line):
    daemon = start(line)
    client = Client(daemon)
    line.redis.stop()
    assert client.post([event(id=f"{number}") for number in range(500)])[0] == 202
    daemon.wait_log("delivery_failed")
    assert daemon.ready() and daemon.metric("meterline_spool_waiting_events") == 500
    daemon.kill9()
    line.redis.start()
    daemon = start(line)
    assert {fields["id"] for fields in entries(line, 500)} == {str(number) for number in range(500)}
    line.redis.restart()
    assert Client(daemon).post(event(id="after"))[0] == 202
    wait_until(lambda: any(fields["id"] == "after" for fields in entries(line, 1)), 20, "it goes on")


def test_a_full_spool_is_told(line):
    daemon = start(line, EMITTER_SPOOL_MAX_MB="16")
    client = Client(daemon)
    line.redis.stop()
    batch = [event(note="x" * 200, id=f"{number}") for number in range(5000)]
    answers = [client.post(batch) for _ in range(20)]
    status, answer, headers = answers[-1]
    assert (status, headers["retry-after"], answer["events"][0]["error"]["code"]) == (503, "1", "spool_full")
    taken = sum(answer["accepted"] for _, answer, _ in answers)
    assert 20_000 < taken < 100_000 and not daemon.ready()
    line.redis.start()
    wait_until(lambda: line.client().xlen(STREAM) >= taken, 60, "all that was taken")
    assert client.post(event())[0] == 202 and daemon.wait_ready()


def test_it_stops_and_hands_over(line):
    """SIGTERM while requests come: each was answered, or its connection closed, and what was taken is there."""
    daemon = start(line)
    client = Client(daemon)
    taken = 0
    for _ in range(200):
        taken += client.post([event()] * 10)[1]["accepted"]
    daemon.term()
    assert line.client().xlen(STREAM) == taken == 2000
    with pytest.raises((OSError, http.client.HTTPException)):
        client.post(event())
    assert [path.name for path in (line.folder / "spool").iterdir()] == ["lock"]


def test_it_stops_in_time_while_redis_is_silent(line):
    daemon = start(line)
    assert Client(daemon).post(event())[0] == 202
    entries(line, 1)
    line.redis.pause()
    try:
        assert Client(daemon).post(event())[0] == 202
        daemon.term()
    finally:
        line.redis.resume()


def test_wrong_settings_are_told_together(line):
    done = line.run("emitter", "--daemon", EMITTER_KEYS="short=acme", EMITTER_SYNC="always", EMITTER_RATE_PER_S="-1")
    assert done.returncode == 2
    for name in ("EMITTER_KEYS", "EMITTER_SYNC", "EMITTER_RATE_PER_S"):
        assert f"setting={name}" in done.stderr
    assert "short" not in done.stderr
