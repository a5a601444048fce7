"""Usage by the API: what is read of it, by windows and zones, as CSV; what is taken; quotas and alerts."""

import csv
import io
import json
import threading

import pytest

from support import api as support

USAGE = "/api/billing/usage"
QUOTAS = "/api/billing/quotas"
ALERTS = "/api/billing/alerts"


@pytest.fixture(name="api")
def api_fixture(line):
    return support.start(line).with_key("admin", "boss", of="acme")


def fill(line, rows, tenant="acme", metric="api_calls"):
    """rows: (minute, quantity) or (minute, quantity, dimensions)."""
    for minute, quantity, *dimensions in rows:
        line.sql("INSERT INTO usage_aggregates (tenant, metric, dimensions, minute_at, events, quantity_sum, quantity_min, quantity_max,"
                 " quantity_last, last_ms, last_entry) VALUES (%s, %s, %s, %s, 1, %s, %s, %s, %s, 0, '')", tenant, metric,
                 json.dumps(dimensions[0] if dimensions else {}), minute, quantity, quantity, quantity, quantity)


def windows(api, metric="api_calls", **query):
    return api.must("GET", f"{USAGE}/{metric}", query=query)["windows"]


def test_days_have_23_and_25_hours(line, api):
    minutes = [f"2026-{day} {hour:02}:30+00" for day in ("03-28", "03-29", "03-30", "10-24", "10-25", "10-26") for hour in range(24)]
    fill(line, [(minute, 1) for minute in minutes])
    for first, last, hours in (("2026-03-28T00:00:00+01:00", "2026-03-31T00:00:00+02:00", [24, 23, 24]),
                               ("2026-10-24T00:00:00+02:00", "2026-10-27T00:00:00+01:00", [24, 25, 24])):
        told = windows(api, **{"from": first, "to": last, "window": "day", "timezone": "Europe/Berlin"})
        lengths = [line.value("SELECT extract(epoch FROM %s::timestamptz - %s::timestamptz) / 3600", w["end"], w["start"]) for w in told]
        assert lengths == hours
        inside = [sum(line.value("SELECT %s::timestamptz >= %s::timestamptz AND %s::timestamptz < %s::timestamptz", m, w["start"], m, w["end"])
                      for m in minutes) for w in told]
        assert [int(w["quantity"]) for w in told] == inside


def test_windows_add_up_and_show_what_is_empty(line, api):
    fill(line, [("2026-06-01 00:00+00", "1.5"), ("2026-06-01 02:10+00", "2"), ("2026-06-02 23:59+00", "0.000000001")])
    span = {"from": "2026-06-01T00:00:00Z", "to": "2026-06-03T00:00:00Z"}
    hours = windows(api, **span, window="hour")
    assert len(hours) == 48 and [h["quantity"] for h in hours[:3]] == ["1.5", "0", "2"] and hours[-1]["quantity"] == "0.000000001"
    assert [w["quantity"] for w in windows(api, **span, window="day")] == ["3.5", "0.000000001"]
    assert [w["quantity"] for w in windows(api, **span, window="total")] == ["3.500000001"]
    assert [w["quantity"] for w in windows(api, **span, window="month")] == ["3.500000001"]
    assert len(windows(api, **span, window="minute")) == 2880
    part = windows(api, **{"from": "2026-06-01T02:10:30Z", "to": "2026-06-01T02:10:31Z", "window": "hour"})
    assert [(w["start"], w["end"], w["quantity"]) for w in part] == [("2026-06-01T02:10:00+00:00", "2026-06-01T02:11:00+00:00", "2")]
    kolkata = windows(api, **{"from": "2026-06-01T00:00:00Z", "to": "2026-06-01T01:00:00Z", "window": "hour", "timezone": "Asia/Kolkata"})
    assert [w["start"][11:16] for w in kolkata] == ["00:00", "00:30"]
    assert windows(api.of("globex"), **span, window="total")[0]["quantity"] == "0"


def test_groups_by_a_dimension(line, api):
    line.sql("UPDATE metrics SET dimensions = '{region}' WHERE metric = 'api_calls'")
    fill(line, [("2026-06-01 00:00+00", 1, {"region": "eu"}), ("2026-06-01 00:00+00", 2, {"region": "us"}), ("2026-06-01 00:01+00", 4)])
    span = {"from": "2026-06-01T00:00:00Z", "to": "2026-06-02T00:00:00Z"}
    told = windows(api, **span, group_by="region")
    assert [(w["value"], w["quantity"]) for w in told] == [("", "4"), ("eu", "1"), ("us", "2")]
    assert api.get(f"{USAGE}/api_calls", query={**span, "group_by": "model"}).param == "group_by"


@pytest.mark.parametrize("query,param", [
    ({"timezone": "Mars/Olympus"}, "timezone"), ({"timezone": "CET"}, "timezone"), ({"timezone": "UTC+3"}, "timezone"),
    ({"timezone": "'; DROP TABLE plans; --"}, "timezone"), ({"window": "week"}, "window"), ({"from": "yesterday"}, "from"),
    ({"from": "2026-02-30T00:00:00Z"}, "from"), ({"from": "2026-06-02T00:00:00Z", "to": "2026-06-01T00:00:00Z"}, "to"),
    ({"from": "1970-01-01T00:00:00Z", "window": "minute"}, "window"),
    ({"from": "1970-01-01T00:00:00Z", "to": "9999-12-31T23:59:59Z", "window": "hour"}, "window"), ({"group_by": "no"}, "group_by"),
])
def test_a_window_that_cannot_be_is_named(api, query, param):
    told = api.get(f"{USAGE}/api_calls", query=query)
    assert (told.status, told.param) == (400, param), told


def test_the_last_time_that_there_is(api):
    span = {"from": "2026-06-01T00:00:00Z", "window": "total"}
    told = api.must("GET", f"{USAGE}/api_calls", query={**span, "to": "9999-12-31T23:59:59Z"})
    assert told["to"] == told["windows"][0]["end"] == "9999-12-31T23:59:00+00:00"
    assert api.get(f"{USAGE}/api_calls", query={**span, "to": "9999-12-31T23:59:59-14:00"}).param == "to"


def test_a_metric_that_there_is_not(api):
    assert (api.get(f"{USAGE}/nothing").status, api.get(f"{USAGE}/Nothing").param) == (404, "metric")


def test_an_export_is_csv_of_every_minute(line, api):
    line.sql("INSERT INTO usage_aggregates SELECT 'acme', 'api_calls', jsonb_build_object('k', 'a,\"b'), '2026-06-01'::timestamptz"
             " + n * interval '1 minute', 1, n, n, n, n, 0, '' FROM generate_series(0, 9999) n")
    fill(line, [("2026-06-01 00:00+00", 7)], tenant="globex")
    told = api.get(f"{USAGE}/export", query={"from": "2026-06-01T00:00:00Z", "to": "2026-07-01T00:00:00Z"})
    rows = list(csv.DictReader(io.StringIO(told.text)))
    assert told.status == 200 and told.headers["Content-Type"] == "text/csv" and len(rows) == 10_000
    assert sum(int(row["sum"]) for row in rows) == sum(range(10_000)) and {row["tenant"] for row in rows} == {"acme"}
    assert json.loads(rows[5]["dimensions"]) == {"k": 'a,"b'} and rows[5]["minute"] == "2026-06-01T00:05:00Z"
    assert api.get(f"{USAGE}/export").param == "from"
    empty = api.get(f"{USAGE}/export", query={"from": "2027-06-01T00:00:00Z", "to": "2027-07-01T00:00:00Z"})
    assert empty.text.count("\n") == 1


def test_a_million_rows_go_out_in_flat_memory(line):
    # The address sanitizer keeps what was freed for a while, here not much of it.
    api = support.start(line, ASAN_OPTIONS="quarantine_size_mb=8").with_key("viewer", of="acme")
    line.sql("INSERT INTO usage_aggregates SELECT 'acme', 'api_calls', jsonb_build_object('n', n % 40), '2026-06-01'::timestamptz"
             " + n / 40 * interval '1 minute', 1, n, n, n, n, 0, '' FROM generate_series(0, 999999) n")
    api.must("GET", USAGE)
    before = api.stage.metric("meterline_memory_bytes")
    told = api.get(f"{USAGE}/export", query={"from": "2026-06-01T00:00:00Z", "to": "2027-06-01T00:00:00Z"}, timeout=120)
    assert told.body.count(b"\n") == 1_000_001
    assert api.stage.metric("meterline_memory_bytes") - before < 32 << 20, "of 90 MB"


def test_a_client_that_leaves_an_export_harms_nobody(line, api):
    line.sql("INSERT INTO usage_aggregates SELECT 'acme', 'api_calls', '{}', '2026-06-01'::timestamptz"
             " + n * interval '1 minute', 1, n, n, n, n, 0, '' FROM generate_series(0, 99999) n")
    import socket
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", api.port)) as s:
            s.sendall(f"GET {USAGE}/export?from=2026-06-01T00:00:00Z&to=2027-06-01T00:00:00Z HTTP/1.1\r\nHost: x\r\n"
                      f"Authorization: Bearer {api.key}\r\nX-Tenant-Id: acme\r\n\r\n".encode())
            assert s.recv(1000).startswith(b"HTTP/1.1 200")
    api.must("GET", USAGE)
    api.stage.term()


EVENTS = [{"metric": "api_calls", "quantity": 3, "id": "a"}, {"metric": "api_calls", "quantity": "1.5", "region": "eu"},
          {"metric": "nothing"}, {"metric": "api_calls", "tenant": "globex"}, {"metric": "api_calls", "quantity": "x"}, {"tenant": "acme"}]


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson", "text/csv"])
def test_each_event_is_told_what_became_of_it(line, api, kind):
    body = {"application/json": json.dumps(EVENTS), "application/x-ndjson": "\n".join(map(json.dumps, EVENTS)),
            "text/csv": "metric,quantity,id,region,tenant\napi_calls,3,a,,\napi_calls,1.5,,eu,\nnothing,,,,\napi_calls,,,,globex\n"
                        "api_calls,x,,,\n,,,,acme\n"}[kind]
    told = api.must("POST", USAGE, body, headers={"Content-Type": kind})
    assert (told["accepted"], told["rejected"], told["failed"]) == (2, 4, 0)
    assert [event["index"] for event in told["events"]] == list(range(6))
    assert told["events"][0]["id"] == "a" and {event["error"]["code"] for event in told["events"][2:]} == {"invalid_event"}
    entries = {entry.decode() if isinstance(entry, bytes) else entry for entry, _ in line.client().xrange("usage:events")}
    assert entries == {event["entry"] for event in told["events"][:2]}
    line.must("aggregator", "--once")
    assert line.value("SELECT quantity::text FROM usage_totals WHERE tenant = 'acme' AND metric = 'api_calls'") == "4.500000000"
    assert line.meterctl("audit").returncode == 0
    assert api.must("GET", USAGE)["metrics"] and [m["quantity"] for m in api.must("GET", USAGE)["metrics"] if m["metric"] == "api_calls"] == ["4.5"]


def test_a_repetition_of_events_counts_once(line, api):
    body, headers = json.dumps([{"metric": "api_calls"}] * 3), {"Idempotency-Key": "k", "Content-Type": "application/json"}
    once = api.must("POST", USAGE, body, headers=headers)
    assert api.must("POST", USAGE, body, headers=headers) == once
    line.sql("UPDATE api_requests SET status = NULL, answer = NULL, lease_until = now()")   # As if it had died before its answer.
    again = api.must("POST", USAGE, body, headers=headers)
    assert [e["id"] for e in again["events"]] == [e["id"] for e in once["events"]]
    line.must("aggregator", "--once")
    assert line.value("SELECT quantity::int FROM usage_totals WHERE tenant = 'acme' AND metric = 'api_calls'") == 3


def test_a_key_that_is_used_again_after_a_day_counts_again(line, api):
    headers = {"Content-Type": "application/json", "Idempotency-Key": "nightly"}
    spans = [{"from": f"2026-0{month}-01T00:00:00Z", "until": f"2026-0{month}-02T00:00:00Z", "reason": "lost"} for month in (1, 2)]
    for n, quantity in enumerate((5, 7)):
        told = api.must("POST", USAGE, json.dumps({"metric": "api_calls", "quantity": quantity}), headers=headers)
        assert told["accepted"] == 1
        moment = line.value("SELECT extract(epoch FROM %s::timestamptz)::bigint * 1000", spans[n]["from"])
        event = {"metric": "api_calls", "quantity": 10 * quantity, "ts": moment}
        told = api.must("POST", f"{USAGE}/backfill", json.dumps(event), headers={**headers, "Idempotency-Key": "old"}, query=spans[n])
        assert told["accepted"] == 1
        line.sql("UPDATE api_requests SET created_at = created_at - interval '24 hours 1 second'")
    line.must("aggregator", "--once")
    assert line.value("SELECT sum(quantity_sum)::int FROM usage_aggregates") == 5 + 7 + 50 + 70
    assert line.sql("SELECT * FROM rejected_events") == []
    assert line.value("SELECT count(*) FROM usage_backfills") == 2


def test_what_are_no_events_is_refused_whole(line, api):
    for body, kind in (("{", "application/json"), ("7", "application/json"), ("", "text/csv"), ("metric,metric\n", "text/csv")):
        told = api.post(USAGE, body, headers={"Content-Type": kind})
        assert (told.status, told.code) == (400, "bad_events"), told
    assert api.post(USAGE, "a=b", headers={"Content-Type": "text/plain"}).status == 415
    many = api.post(USAGE, "[" + ",".join(["{}"] * 10_001) + "]", headers={"Content-Type": "application/json"})
    assert (many.status, many.code) == (400, "too_many_events")
    assert api.must("POST", USAGE, "[]", headers={"Content-Type": "application/json"})["events"] == []
    assert not line.client().exists("usage:events")


def test_a_viewer_adds_nothing(line, api):
    viewer = api.with_key("viewer", of="acme")
    assert viewer.post(USAGE, json.dumps(EVENTS), headers={"Content-Type": "application/json"}).status == 403
    assert not line.client().exists("usage:events")


@pytest.mark.own_servers
def test_events_that_redis_did_not_take_are_told(line):
    api = support.start(line).with_key("editor", of="acme")
    line.redis.pause()
    told = []
    thread = threading.Thread(target=lambda: told.append(api.post(USAGE, json.dumps([{"metric": "api_calls"}]), headers={
        "Content-Type": "application/json", "Idempotency-Key": "k"})))
    thread.start()
    thread.join(20)
    line.redis.resume()
    assert told[0].status == 200 and told[0].json["failed"] == 1 and told[0].json["events"][0]["id"].startswith("api:")
    again = line.wait_for(lambda: (a := api.post(USAGE, json.dumps([{"metric": "api_calls"}]), headers={
        "Content-Type": "application/json", "Idempotency-Key": "k"})).json.get("accepted") == 1 and a, 20, "Redis takes it")
    assert again.json["events"][0]["id"] == told[0].json["events"][0]["id"]
    line.must("aggregator", "--once")
    assert line.value("SELECT quantity::int FROM usage_totals") == 1


@pytest.mark.own_servers
def test_a_backfill_that_redis_did_not_take_is_tried_again(line):
    api = support.start(line).with_key("admin", of="acme")
    query = {"from": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z", "reason": "lost"}
    moment = line.value("SELECT extract(epoch FROM %s::timestamptz)::bigint * 1000", query["from"])
    def ask():
        return api.post(f"{USAGE}/backfill", json.dumps([{"metric": "api_calls", "ts": moment}]), query=query, headers={
            "Content-Type": "application/json", "Idempotency-Key": "k"})
    line.redis.pause()
    first = ask()
    line.redis.resume()
    assert first.status == 200 and first.json["failed"] == 1, first
    again = line.wait_for(lambda: (a := ask()).json.get("accepted") == 1 and a, 20, "Redis takes it")
    assert again.json["events"][0]["id"] == first.json["events"][0]["id"]
    assert ask().body == again.body, "what is final is kept"
    line.must("aggregator", "--once")
    assert line.value("SELECT sum(quantity_sum)::int FROM usage_aggregates") == 1
    told = [row["detail"]["after"] for row in api.must("GET", "/api/billing/history", query={"kind": "usage_backfilled"})["data"]]
    assert told[0]["failed"] == 0 and told[-1]["failed"] == 1, "each try is in the history"


def test_quotas_are_those_of_the_cache(line, api):
    told = api.get(QUOTAS)
    assert told.status == 200 and (told.json["plan"], told.json["status"], told.json["metrics"]) == ("free", "active", [])
    line.start_webhookd().wait_ready()
    api.wait(QUOTAS, lambda q: q["metrics"], "the limits of the plan free are there")
    line.must("meterctl", "quota", "set", "acme", "api_calls", "--limit", "10", "--cap", "hard", "--new")
    api.wait(QUOTAS, lambda q: any(m["limit"] == "10" for m in q["metrics"]), "its own limit is there")
    api.must("POST", USAGE, json.dumps([{"metric": "api_calls", "quantity": 8}]), headers={"Content-Type": "application/json"})
    line.start_aggregator()
    quota = next(m for m in api.wait(QUOTAS, lambda q: any(m["used"] == "8" for m in q["metrics"]), "it is used")["metrics"]
                 if m["metric"] == "api_calls")
    assert (quota["cap"], quota["remaining"], quota["grace_until"]) == ("hard", "2", None) and quota["resets_at"].endswith("Z")
    for quantity, verdict, reason in (("2", "allow", "ok"), ("2.1", "deny", "hard_cap"), ("0", "allow", "ok")):
        told = api.must("GET", f"{QUOTAS}/check", query={"metric": "api_calls", "quantity": quantity})
        assert (told["verdict"], told["reason"], told["used"], told["limit"]) == (verdict, reason, "8", "10")
    assert api.must("GET", f"{QUOTAS}/check", query={"metric": "nothing"})["reason"] == "unknown_metric"
    assert api.get(f"{QUOTAS}/check", query={"metric": "api_calls", "quantity": "-1"}).param == "quantity"
    assert api.get(f"{QUOTAS}/check").param == "metric"


def test_alerts_are_set_and_told(line, api):
    assert api.must("GET", ALERTS)["own_thresholds"] is False
    wanted = {"email": "a@example.com", "url": "https://example.com/x", "thresholds": [50, 90]}
    told = api.must("PUT", ALERTS, wanted)
    assert told["secret"].startswith("mlsec_") and told["thresholds"] == [50, 90]
    assert api.must("PUT", ALERTS, {**wanted, "email": None})["secret"] is None, "the URL keeps its secret"
    assert api.must("GET", ALERTS)["email"] is None
    assert api.must("PUT", ALERTS, {**wanted, "url": "https://example.com/y"})["secret"] not in (None, told["secret"])
    rows = api.must("GET", "/api/billing/history", query={"kind": "alerts_changed"})["data"]
    assert len(rows) == 3 and rows[-1]["detail"]["after"]["thresholds"] == [50, 90] and "mlsec_" not in json.dumps(rows)
    assert line.must("meterctl", "alerts", "show", "acme", "--json")
    for bad, param in (({**wanted, "email": "x"}, "email"), ({**wanted, "url": "http://x.example"}, "url"),
                       ({**wanted, "thresholds": [90, 50]}, "thresholds"), ({**wanted, "thresholds": [0]}, "thresholds[0]"),
                       ({"email": None}, "url")):
        assert api.put(ALERTS, bad).param == param
    assert api.with_key("viewer", of="acme").put(ALERTS, wanted).status == 403


def test_what_was_submitted_is_listed(line, api):
    line.sql("INSERT INTO usage_submissions (identifier, tenant, metric, transport, stripe_customer_id, event_name, period_start, usage_at,"
             " quantity, body, state, claim) SELECT 'ml-' || n, CASE WHEN n = 9 THEN 'globex' ELSE 'acme' END, 'api_calls', 'meter_events', 'cus_1', 'x', "
             "'2026-06-01', '2026-06-01'::timestamptz + n * interval '1 minute', n, '', 'sent', n FROM generate_series(1, 9) n")
    told = api.must("GET", "/api/billing/usage_records", query={"limit": 5})
    rest = api.must("GET", "/api/billing/usage_records", query={"limit": 5, "starting_after": told["data"][-1]["id"]})
    assert told["has_more"] and not rest["has_more"] and len(told["data"] + rest["data"]) == 8
    assert {row["id"] for row in told["data"] + rest["data"]} == {f"ml-{n}" for n in range(1, 9)}
    assert api.must("GET", "/api/billing/usage_records", query={"starting_after": "ml-9"})["data"] == []
    assert api.must("GET", "/api/billing/usage_records", query={"state": "failed"})["data"] == []


def test_usage_of_long_ago_is_let_in_on_purpose(line, api):
    day = 86_400_000
    now = line.value("SELECT floor(extract(epoch FROM now()) * 1000)::bigint")
    old = now - 100 * day
    query = {"from": line.value("SELECT to_char(now() - interval '101 days', 'YYYY-MM-DD\"T\"HH24:MI:SSZ')"),
             "until": line.value("SELECT to_char(now() - interval '99 days', 'YYYY-MM-DD\"T\"HH24:MI:SSZ')"), "reason": "lost in the move"}
    events = [{"metric": "api_calls", "quantity": 2, "ts": old}, {"metric": "api_calls", "ts": now - 50 * day}, {"metric": "api_calls"},
              {"metric": "api_calls", "ts": old, "backfill": "bf_x"}]
    headers = {"Content-Type": "application/json", "Idempotency-Key": "b1"}
    line.start_aggregator().wait_ready()   # It has read the catalog before.
    line.xadd(tenant="acme", metric="api_calls", id="before")
    line.wait_for(lambda: line.value("SELECT count(*) FROM usage_totals") == 1, 20, "it counts")
    told = api.ask("POST", f"{USAGE}/backfill", json.dumps(events), headers=headers, query=query)
    assert told.status == 200 and (told.json["accepted"], told.json["rejected"]) == (1, 3), told
    assert api.ask("POST", f"{USAGE}/backfill", json.dumps(events), headers=headers, query=query).body == told.body
    line.sql("UPDATE api_requests SET status = NULL, answer = NULL, lease_until = now()")   # As if it had died before its answer.
    assert api.ask("POST", f"{USAGE}/backfill", json.dumps(events), headers=headers, query=query).json["accepted"] == 1
    sums = "SELECT quantity_sum::int FROM usage_aggregates WHERE minute_at < now() - interval '98 days'"
    line.wait_for(lambda: line.value(sums) == 2, 20, "it is counted")
    foreign = line.value("SELECT backfill_id FROM usage_backfills")
    line.xadd(tenant="globex", metric="api_calls", ts=str(old), backfill=foreign)   # Another tenant's is of no use …
    line.xadd(tenant="acme", metric="api_calls", ts=str(now - 90 * day), backfill=foreign)   # … nor for another time.
    line.xadd(tenant="acme", metric="api_calls", ts=str(old))
    line.wait_for(lambda: line.value("SELECT count(*) FROM rejected_events WHERE reason = 'too_old'") == 3, 20, "the others are too old")
    assert line.value(sums) == 2, "a repetition counts once"
    row, *others = api.must("GET", "/api/billing/history", query={"kind": "usage_backfilled"})["data"]
    assert len(others) == 1
    assert row["actor"] == "boss" and row["object_id"] == foreign and row["detail"]["after"]["reason"] == "lost in the move"
    assert api.with_key("editor", of="acme").ask("POST", f"{USAGE}/backfill", "[]", headers=headers, query=query).status == 403
    back = {**query, "from": query["until"], "until": query["from"]}
    assert api.ask("POST", f"{USAGE}/backfill", "[]", headers={"Content-Type": "application/json"}, query=back).param == "until"
    assert line.meterctl("audit").returncode == 0
