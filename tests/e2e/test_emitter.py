"""The emitter sends valid events exactly and once, and names the line of every other one."""

import json
import subprocess
import time

import pytest

from line import Line
from line.paths import CATALOG

STREAM = "usage:events"


@pytest.fixture
def line(folder):
    """Only Redis: the emitter needs nothing else."""
    own = Line(folder)
    try:
        own.redis.start()
        yield own
    finally:
        own.close()


def event(**more):
    return {"tenant": "acme", "metric": "api_calls", **more}


def emit(line, text, *args, **settings):
    if not isinstance(text, str):
        text = "".join(json.dumps(one) + "\n" for one in text)
    return line.run("emitter", *args, input=text, **settings)


def entries(line, stream=STREAM):
    return [fields for _, fields in line.client().xrange(stream)]


def write_events(line, count, name="events.ndjson"):
    path = line.folder / name
    with open(path, "w", encoding="utf-8") as out:
        for number in range(count):
            out.write(f'{{"tenant":"t{number % 7}","metric":"api_calls","id":"id-{number}"}}\n')
    return path


def test_decimals_arrive_to_the_letter(line):
    texts = ["1.5", "0.1", "-3", "0.30", "999999999999999999.999999999", "9007199254740993"]
    numbers = "".join(f'{{"tenant":"a","metric":"m","quantity":{text}}}\n' for text in texts)
    strings = "".join(f'{{"tenant":"a","metric":"m","quantity":"{text}"}}\n' for text in texts)
    done = emit(line, numbers + strings)
    assert (done.returncode, done.stderr) == (0, "12 sent, 0 refused\n")
    assert [fields["quantity"] for fields in entries(line)] == texts + texts


def test_all_fields_arrive(line):
    ts = int(time.time() * 1000) - 5000
    done = emit(line, [event(id="order 7/ü", ts=ts, quantity="2", model="large", note=""),
                       {"tenant": "acme", "op": "retract", "id": "order 7/ü"}])
    assert done.returncode == 0, done.stderr
    assert entries(line) == [
        {"tenant": "acme", "metric": "api_calls", "quantity": "2", "id": "order 7/ü",
         "ts": str(ts), "model": "large", "note": ""},
        {"tenant": "acme", "op": "retract", "id": "order 7/ü"}]


def test_events_without_id_or_time_get_them(line):
    before = int(time.time() * 1000)
    assert emit(line, [event(), event()]).returncode == 0
    first, second = entries(line)
    assert first["id"] != second["id"] and first["id"][14] == "7" and len(first["id"]) == 36
    assert before <= int(first["ts"]) <= int(second["ts"]) <= int(time.time() * 1000)


def test_refusals_name_file_and_line(line):
    path = line.folder / "events.ndjson"
    path.write_text("\n".join([
        json.dumps(event()), "", '{"tenant":"acme","metric":"api_calls","quantity":1e3}', "no json",
        json.dumps(event(quantity="12,5")), json.dumps({"metric": "api_calls"}),
        json.dumps(event())]))
    refused = line.folder / "refused"
    done = line.run("emitter", "--refused", refused, path)
    expected = [f"{path}:3: quantity: must be written without an exponent",
                f"{path}:4: not JSON: expected {{ (byte 1)",
                f"{path}:5: quantity: must be a decimal of up to 18 digits, and up to 9 behind a point",
                f"{path}:6: tenant: is missing"]
    assert done.returncode == 1
    assert done.stderr.splitlines() == expected + ["2 sent, 4 refused"]
    assert refused.read_text().splitlines() == expected
    assert len(entries(line)) == 2


def test_only_the_first_refusals_are_shown(line):
    refused = line.folder / "refused"
    done = emit(line, "x\n" * 50, "--refused", refused)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0].startswith("stdin:1: ") and lines[19].startswith("stdin:20: ")
    assert lines[20:] == ["… and 30 more refused", "0 sent, 50 refused"]
    assert len(refused.read_text().splitlines()) == 50


def test_odd_files(line):
    """A byte order mark, CRLF, empty lines, a last line without a newline, and lines that are too long."""
    good = json.dumps(event())
    long = json.dumps(event(note="x" * (3 << 20)))
    done = emit(line, f"\ufeff{good}\r\n\r\n\n{long}\n{good}\n{long}\n{good}")
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["stdin:4: the line is longer than 1 MiB",
                                        "stdin:6: the line is longer than 1 MiB",
                                        "3 sent, 2 refused"]
    assert emit(line, "").returncode == 0


def test_several_files_and_standard_input(line):
    one, two = write_events(line, 3, "one"), write_events(line, 4, "two")
    done = emit(line, [event()], one, "-", two)
    assert done.returncode == 0 and done.stderr == "8 sent, 0 refused\n"
    done = line.run("emitter", one, line.folder / "none")
    assert done.returncode == 1 and "3 sent" in done.stderr and "No such file" in done.stderr


def test_catalog_refuses_unknown_metrics(line):
    done = emit(line, [event(), event(metric="coffee_cups")], "--catalog", CATALOG)
    assert done.returncode == 1
    assert "stdin:2: metric: coffee_cups is not in the catalog" in done.stderr
    assert len(entries(line)) == 1


def test_dry_run_needs_no_redis(line):
    line.redis.stop()
    done = emit(line, [event(), event(quantity="x")], "--dry-run")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "1 valid, 1 refused, nothing was sent (dry run)"


def test_shards_go_by_tenant(line):
    tenants = [f"tenant-{number}" for number in range(50)]
    done = emit(line, [event(tenant=tenant) for tenant in tenants], METERLINE_STREAM_SHARDS=4)
    assert done.returncode == 0
    for shard in range(4):
        found = {fields["tenant"] for fields in entries(line, f"usage:events:{{{shard}}}")}
        assert found == {tenant for tenant in tenants if crc16(tenant.encode()) % 4 == shard}


def crc16(data):
    """CRC16-XMODEM bit by bit, as in the Redis Cluster specification."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xffff
    return crc


def test_pipe_is_served_as_it_comes(line):
    """A service that writes seldom need not wait until a batch is full."""
    emitter = line.start("emitter", popen={"stdin": subprocess.PIPE})
    for number in range(3):
        emitter.process.stdin.write(json.dumps(event(id=str(number))).encode() + b"\n")
        emitter.process.stdin.flush()
        line.wait_for(lambda: line.client().xlen(STREAM) == number + 1)
    emitter.process.stdin.close()
    assert emitter.wait_exit() == 0


def test_signal_ends_it_in_order(line):
    emitter = line.start("emitter", popen={"stdin": subprocess.PIPE})
    emitter.process.stdin.write(json.dumps(event()).encode() + b"\n")
    emitter.process.stdin.flush()
    line.wait_for(lambda: line.client().xlen(STREAM) == 1)
    emitter.process.terminate()
    assert emitter.wait_exit() == 1
    assert "1 sent, 0 refused" in emitter.log_tail()


def test_nothing_is_lost_when_redis_dies(line):
    """Redis is killed while events are in flight: those not acknowledged are sent again with their ids.
    appendfsync is `always`, because with `everysec` Redis acknowledges up to 2 s before it writes."""
    count = 300_000
    line.client().config_set("appendfsync", "always")
    emitter = line.start("emitter", args=[write_events(line, count)])
    line.wait_for(lambda: line.client().xlen(STREAM) > 0)
    line.redis.kill()
    emitter.wait_log("peer_lost", peer="redis")
    line.redis.start()
    emitter.wait_log("peer_back", peer="redis")
    assert emitter.wait_exit(60) == 0
    assert f"{count} sent, 0 refused" in emitter.log_tail()
    ids = [fields["id"] for fields in entries(line)]
    assert set(ids) == {f"id-{number}" for number in range(count)}
    assert len(ids) - count <= 2000, "only what was in flight may come twice"


def test_own_ids_stay_the_same_when_sent_again(line):
    """A full Redis refuses for a while. The same bytes are sent until it accepts them."""
    line.client().config_set("maxmemory", 1)
    emitter = line.start("emitter", popen={"stdin": subprocess.PIPE})
    emitter.process.stdin.write(b"".join(json.dumps(event()).encode() + b"\n" for _ in range(5)))
    emitter.process.stdin.close()
    lost = emitter.wait_log("peer_lost")
    assert "OOM" in lost["msg"]
    line.client().config_set("maxmemory", 0)
    assert emitter.wait_exit() == 0
    found = entries(line)
    assert len(found) == 5 and len({fields["id"] for fields in found}) == 5
    # Made when the lines were read, not when they were sent at last.
    assert all(int(fields["id"].replace("-", "")[:12], 16) == int(fields["ts"]) for fields in found)


def test_events_that_may_not_have_been_sent_are_named(line):
    line.redis.stop()
    done = emit(line, [event() for _ in range(3)], "--give-up-after", "0")
    assert done.returncode == 1
    assert "3 events may not have been sent, from stdin:1 to stdin:3; no later line was sent" in done.stderr
    assert "0 sent, 0 refused" in done.stderr and "gave up after 0 s" in done.stderr


def test_what_redis_refuses_for_good_is_a_refusal(line):
    line.client().set(STREAM, "no stream")
    done = emit(line, [event(), event()])
    assert done.returncode == 1
    assert "stdin:2: refused by Redis: WRONGTYPE" in done.stderr


def test_wrong_usage(line):
    for args in (["--fast"], ["--give-up-after", "soon"], ["--catalog"],
                 ["--catalog", "/nonexistent"], ["--refused", "/nonexistent/file"]):
        assert line.run("emitter", *args).returncode == 2, args
    assert "line -1" not in line.run("emitter", "--catalog", "/nonexistent").stderr
    assert line.run("emitter", METERLINE_STREAM_SHARDS=0).returncode == 2
    assert line.run("emitter", "--help").returncode == 0
    assert line.run("emitter", "--version").stdout.startswith("meterline-emitter ")
    shown = line.run("emitter", "--print-config",
                     REDIS_URL="redis://:very-secret@127.0.0.1:1").stdout
    assert "METERLINE_STREAM_SHARDS=1" in shown and "very-secret" not in shown


def test_a_wrong_flag_leads_to_the_help(line):
    done = emit(line, "", "--bogus")
    assert done.returncode == 2 and done.stderr.endswith("meterline-emitter: see --help\n"), done.stderr


def test_csv_of_a_file_and_of_a_pipe(line):
    path = line.folder / "usage.csv"
    path.write_text('\ufefftenant,metric,quantity,id,note\r\nacme,api_calls,1.50,a,"x ""y"",\nz"\r\n\r\nacme,api_calls,,b,\r\n'
                    'acme,api_calls,1e3,c,\r\nacme\r\nacme,api_calls,2,d,"open\r\n', encoding="utf-8")
    done = line.run("emitter", path)
    assert done.returncode == 1 and done.stderr == (
        f"{path}:6: quantity: must be written without an exponent\n"
        f"{path}:7: CSV: there are fewer values than fields in the header\n"
        f"{path}:8: CSV: a quote is not closed\n2 sent, 3 refused\n")
    first, second = entries(line)
    assert (first["quantity"], first["note"], second["id"]) == ("1.50", 'x "y",\nz', "b") and "quantity" not in second
    text = "Customer ID,metric,Calls,Rest\nacme,api_calls,3,x\n"
    done = line.run("emitter", "--map", "Customer ID=tenant,Calls=quantity,Rest=", input=text)
    assert (done.returncode, done.stderr) == (0, "1 sent, 0 refused\n")
    assert {"tenant", "metric", "quantity", "id", "ts"} == set(entries(line)[2]) and entries(line)[2]["quantity"] == "3"
    for args, text, why in [(["--csv"], "Customer ID\n", "must be mapped"), (["--map", "x"], "a\n", "foreign=ours"),
                            (["--map", "a=tenant"], "b\n", "no field a")]:
        done = line.run("emitter", *args, input=text)
        assert done.returncode == 1 and why in done.stderr, done.stderr
