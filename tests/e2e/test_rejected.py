"""meterctl rejected: what was not counted is shown, and sent once more when it can be."""

import json
import re
import time

import pytest

from support.catalog import add_metric

STREAM = "usage:events"
DAY_MS = 86_400_000


def now_ms():
    return time.time_ns() // 1_000_000


def count_all(line, **settings):
    line.must("aggregator", "--once", timeout=120, **settings)


def add_reject(line, fields, reason="bad_field", stream_id=None, replayed=False):
    """By hand: its id."""
    tenant = next((field[1] for field in fields if isinstance(field, list) and field[0] == "tenant"), None)
    return line.value(
        "INSERT INTO rejected_events (stream, epoch, stream_id, tenant, reason, detail, fields, replayed_at) "
        "VALUES (%s, 1, %s, %s, %s, 'by hand', %s, CASE WHEN %s THEN now() END) RETURNING rejected_id", STREAM,
        stream_id or f"{now_ms()}-0", tenant if isinstance(tenant, str) else None, reason, json.dumps(fields), replayed)


def replay(line, *args):
    return line.must("meterctl", "rejected", "replay", *args)


def entries(line, stream=STREAM):
    return line.client().xrange(stream)


def quantity(line, metric, tenant="acme"):
    return line.value("SELECT quantity FROM usage_totals WHERE metric = %s AND tenant = %s", metric, tenant)


# list and show

def test_list_and_show(line):
    add_reject(line, [["tenant", "acme"], ["metric", "x"], ["b", {"base64": "/wA="}]], "unknown_metric")
    newest = add_reject(line, [["tenant", "zen"]], "missing_field")
    line.sql("UPDATE rejected_events SET rejected_at = now() - interval '3 days' WHERE tenant = 'acme'")
    text = line.must("meterctl", "rejected", "list").stdout
    assert text.index("zen") < text.index("acme") and "unknown_metric" in text
    for args, found in ((["--tenant", "acme"], {"acme"}), (["--reason=missing_field"], {"zen"}),
                        (["--since", "2d"], {"zen"}), (["--limit", "1"], {"zen"}), ([], {"acme", "zen"})):
        rows = json.loads(line.must("meterctl", "rejected", "list", "--json", *args).stdout)
        assert {row["tenant"] for row in rows} == found, args
    shown = json.loads(line.must("meterctl", "rejected", "show", str(newest - 1), "--json").stdout)
    assert shown["fields"][2] == ["b", {"base64": "/wA="}] and shown["reason"] == "unknown_metric"
    assert '["b",{"base64":"/wA="}]' in line.must("meterctl", "rejected", "show", str(newest - 1)).stdout
    assert line.meterctl("rejected", "show", "999").returncode == 1
    line.sql("DELETE FROM rejected_events")
    assert "nothing was rejected" in line.must("meterctl", "rejected", "list").stdout


@pytest.mark.parametrize("args", [
    ["list", "--reason", "whim"], ["list", "--limit", "0"], ["list", "--since", "soon"], ["list", "5"],
    ["show"], ["show", "x"], ["show", "1", "2"], ["replay"], ["replay", "--all", "--tenant", "acme"],
    ["replay", "5", "--all"], ["replay", "-5"], ["replay", "0"], ["replay", "--all", "--tenant"]])
def test_wrong_usage(line, args):
    assert line.meterctl("rejected", *args).returncode == 2


# replay

def test_after_the_metric_was_added_it_counts_once_at_its_time(line):
    ts = now_ms() - 5 * DAY_MS
    line.xadd(tenant="acme", metric="gpu_hours", quantity="1.5", ts=ts, id="job-1")
    line.xadd(tenant="acme", metric="gpu_hours", quantity="2.25", note="x")
    count_all(line)
    assert line.value("SELECT count(*) FROM rejected_events WHERE reason = 'unknown_metric'") == 2
    original = line.sql("SELECT stream_id FROM rejected_events ORDER BY rejected_id")[1].stream_id
    add_metric(line, "gpu_hours")
    dry = replay(line, "--reason", "unknown_metric", "--dry-run").stdout
    assert "2 of 2 entries can be replayed" in dry and "replayed 2" not in dry
    refused = line.meterctl("rejected", "replay", "--reason", "unknown_metric")
    assert refused.returncode == 1 and "--yes" in refused.stderr and not entries(line)
    assert "replayed 2 entries" in replay(line, "--reason", "unknown_metric", "--yes").stdout
    assert line.value("SELECT count(*) FROM rejected_events WHERE replayed_at IS NOT NULL") == 2
    count_all(line)
    assert line.value("SELECT sum(quantity) FROM usage_totals WHERE metric = 'gpu_hours'") == 3.75
    rows = {row.event_id: row for row in line.sql(
        "SELECT event_id, (extract(epoch FROM occurred_at) * 1000)::bigint AS ms FROM usage_events")}
    assert rows["job-1"].ms == ts
    assert rows[f"{STREAM}/{original}"].ms == int(original.split("-")[0])
    # Whoever sends them again, be it after a crash between XADD and the note, makes duplicates.
    assert "0 of 0 entries" in replay(line, "--all", "--yes").stdout
    assert "replayed 2 entries" in replay(line, "--all", "--yes", "--again").stdout
    line.sql("UPDATE rejected_events SET replayed_at = NULL")
    replay(line, "--all", "--yes")
    count_all(line)
    assert line.value("SELECT sum(quantity) FROM usage_totals WHERE metric = 'gpu_hours'") == 3.75
    audit = line.audit()
    assert audit.ok and audit.total("duplicates") == 4 and audit.total("rejected") == 2, audit.text


def test_a_retraction_that_came_too_early(line):
    line.xadd(tenant="acme", op="retract", id="e-1")
    count_all(line)
    line.xadd(tenant="acme", metric="api_calls", id="e-1")
    line.xadd(tenant="acme", metric="api_calls", id="e-2")
    count_all(line)
    assert quantity(line, "api_calls") == 2
    number = line.value("SELECT rejected_id FROM rejected_events WHERE reason = 'unknown_retraction'")
    replay(line, str(number))
    assert entries(line)[-1][1] == {"tenant": "acme", "op": "retract", "id": "e-1"}
    count_all(line)
    assert quantity(line, "api_calls") == 1
    replay(line, str(number), "--again")
    count_all(line)
    assert quantity(line, "api_calls") == 1
    assert line.audit().ok


def test_something_came_of_each_that_was_replayed(line):
    """It counted, was a repeat, or was rejected once more; what would be for what stands in it is not even sent. The audit
    names one of which nothing came."""
    client = line.client()
    for id_ in ({}, {"id": "a1"}, {"id": b"\xff\xfe"}, {"id": "x" * 300}):
        line.xadd(tenant="acme", metric="later", quantity=4, **id_)
        line.xadd(tenant="acme", metric="api_calls", quantity="much", **id_)
        line.xadd(metric="api_calls", **id_)
        line.xadd(tenant="acme", op="retract", **id_)
    count_all(line)
    add_metric(line, "later")
    for again in [], ["--again"]:
        told = replay(line, "--all", "--yes", *again).stdout
        skipped = dict(re.findall(r"skipped reason=(\w+) entries=(\d+)", told))
        assert skipped == {"missing_field": "4", "bad_quantity": "3", "bad_field": "4", "too_large": "2"}, told
        assert told.endswith("3 of 16 entries can be replayed\nreplayed 3 entries\n"), told
        count_all(line)
        assert line.audit().ok
    assert quantity(line, "later") == 4 and client.xlen(STREAM) == 0
    line.xadd(tenant="acme", metric="unknown", id="lonely")
    count_all(line)
    line.sql("UPDATE rejected_events SET replayed_at = now() WHERE reason = 'unknown_metric' AND fields @> '[[\"id\", \"lonely\"]]'")
    audit = line.audit()
    assert not audit.balanced and "marked as replayed, and nothing came of it" in audit.text, audit.text


def test_a_replayed_entry_that_redis_lost_is_no_forgery(line):
    line.xadd(tenant="acme", op="retract", id="nowhere")
    count_all(line)
    replay(line, "--all", "--yes")
    line.client().delete(STREAM)
    line.xadd(tenant="acme", metric="api_calls")
    count_all(line)
    audit = line.audit()
    assert "nothing came" not in audit.text and audit.balanced, audit.text


def test_each_goes_to_its_tenants_shard(line):
    line.sql("UPDATE ledger_state SET value = 4 WHERE name = 'stream_shards'")
    tenants = [f"t{i}" for i in range(12)]
    for tenant in tenants:
        add_reject(line, [["tenant", tenant], ["metric", "api_calls"]], "wrong_shard")
    replay(line, "--reason", "wrong_shard", "--yes")
    shards = [f"usage:events:{{{i}}}" for i in range(4)]
    assert sum(len(entries(line, shard)) for shard in shards) == 12
    count_all(line, METERLINE_STREAM_SHARDS=4)
    assert line.value("SELECT count(*) FROM usage_totals") == 12
    assert line.value("SELECT count(*) FROM rejected_events") == 12


def test_every_field_arrives_as_it_was(line):
    number = add_reject(line, [["tenant", "acme"], ["metric", "api_calls"], ["id", "a"],
                               [{"base64": "cGxhaW4="}, {"base64": "w7w="}], ["note", "ü\"\\ \n\t\u0001"], ["ts", str(now_ms())]])
    replay(line, str(number))
    raw = line.redis.client(decode_responses=False).xrange(STREAM)[0][1]
    flat = [part for pair in raw.items() for part in pair]
    assert b"plain" in flat and "ü".encode() in flat and "ü\"\\ \n\t\u0001".encode() in flat
    assert flat.count(b"ts") == 1 and flat.count(b"id") == 1


@pytest.mark.parametrize("fields, reason, stream_id, told", [
    ([["tenant", "acme"], {"truncated_bytes": 70000}], "too_large", None, "reason=cut"),
    ([["tenant", "acme"], ["metric", "api_calls"], ["id", "a"]], "conflict", None, "conflict again"),
    ([["tenant", "acme"], ["ts", "5"]], "unknown_metric", None, "reason=too_old"),
    ([["tenant", "acme"], ["metric", "api_calls"]], "unknown_metric", "5-0", "more than 35 days"),
    ([["tenant", "acme"], ["ts", "99999999999999"]], "in_future", None, "reason=in_future"),
    ([], "bad_field", None, "reason=empty"),
    ([["metric", "api_calls"]], "missing_field", None, "reason=missing_field"),
    ([["tenant", "acme"]], "missing_field", None, "reason=missing_field"),
    ([["tenant", "acme"], ["op", "retract"]], "missing_field", None, "reason=missing_field"),
    ([["tenant", "acme"], ["metric", "api_calls"], ["x", {"base64": "/w=="}]], "bad_field", None, "reason=bad_field"),
    ([["tenant", "acme"], ["metric", "later"]], "unknown_metric", None, "add it first"),
    ([["tenant", "acme"], ["metric", "api_calls"], ["quantity", "many"]], "bad_quantity", None, "--round"),
    ([["tenant", "acme"], ["metric", "api_calls"], ["ts", "soon"]], "bad_timestamp", None, "reason=bad_timestamp"),
    ([["tenant", "acme"], ["metric", "api_calls"], ["x", "y" * 257]], "too_large", None, "reason=too_large"),
])
def test_what_cannot_be_replayed_is_told(line, fields, reason, stream_id, told):
    number = add_reject(line, fields, reason, stream_id)
    done = line.meterctl("rejected", "replay", str(number))
    assert done.returncode == 1 and told in done.stdout and "0 of 1 entries" in done.stdout
    assert not entries(line)
    assert line.value("SELECT replayed_at FROM rejected_events") is None
    assert "0 of 1 entries" in replay(line, "--all", "--yes").stdout


def test_by_id(line):
    first = add_reject(line, [["tenant", "acme"], ["metric", "api_calls"]])
    done = add_reject(line, [["tenant", "acme"], ["metric", "api_calls"]], replayed=True)
    assert "replayed 1 entries" in replay(line, str(first), str(first)).stdout
    again = line.meterctl("rejected", "replay", str(first), str(done), "999")
    assert again.returncode == 1 and "--again" in again.stdout and "1 of these ids" in again.stderr
    assert "replayed 2 entries" in replay(line, str(first), str(done), "--again").stdout


def test_many_are_sent_by_pages(line):
    line.sql("INSERT INTO rejected_events (stream, epoch, stream_id, tenant, reason, detail, fields) "
             "SELECT %s, 1, (extract(epoch FROM now()) * 1000)::bigint || '-' || i, 't' || i %% 7, 'bad_field', 'by hand', "
             "jsonb_build_array(jsonb_build_array('tenant', 't' || i %% 7), jsonb_build_array('metric', 'api_calls')) "
             "FROM generate_series(1, 1001) i", STREAM)
    assert "replayed 143 entries" in replay(line, "--tenant", "t3", "--yes").stdout
    assert "replayed 858 entries" in replay(line, "--all", "--yes").stdout
    count_all(line)
    assert line.value("SELECT sum(quantity) FROM usage_totals") == 1001


@pytest.mark.own_servers
def test_what_redis_does_not_take_is_not_noted(line):
    for _ in range(3):
        add_reject(line, [["tenant", "acme"], ["metric", "api_calls"]])
    line.client().set(STREAM, "no stream")
    done = line.meterctl("rejected", "replay", "--all", "--yes")
    assert done.returncode == 1 and "WRONGTYPE" in done.stderr and "replayed 0 entries" in done.stdout
    assert line.value("SELECT count(*) FROM rejected_events WHERE replayed_at IS NOT NULL") == 0
    line.client().delete(STREAM)
    assert "replayed 3 entries" in replay(line, "--all", "--yes").stdout
    line.redis.stop()
    assert line.meterctl("rejected", "replay", "--all", "--yes", "--again").returncode == 1
