"""meterctl export: usage and rollups in an object store that verifies each signature, and a manifest that is written last."""

import csv
import hashlib
import io
import json
import os
import signal
import subprocess

import pytest

from line.paths import programs
from line.process import clean_env
from support.object_store import KEY_ID, SECRET, ObjectStore

DAY = "2026-11-20"
MANIFEST, USAGE = f"/bucket/line/manifests/{DAY}.json", f"/bucket/line/usage/{DAY}.csv"
TABLES = ["arr", "mrr", "activation", "roi"]


@pytest.fixture(name="store")
def store_fixture():
    own = ObjectStore()
    yield own
    own.close()


def use(line, minutes, tenants=1, day=DAY):
    """A row of usage for each minute and tenant of that day."""
    line.sql("INSERT INTO usage_aggregates (tenant, metric, dimensions, minute_at, events, quantity_sum, quantity_min, quantity_max,"
             " quantity_last, last_ms, last_entry) SELECT 'tenant, \"' || t || '\"', 'llm_tokens', '{\"model\": \"large\"}',"
             " %s::date AT TIME ZONE 'UTC' + m * interval '1 min', 2, 1.5 * m, 0, m, m, 0, '' FROM generate_series(0, %s) m,"
             " generate_series(1, %s) t", day, minutes - 1, tenants)


def export(line, store, *args, **settings):
    return line.meterctl("export", *args, **store.settings(**settings))


def check_manifest(store):
    """Whether what it names is there, to the byte."""
    manifest = json.loads(store.objects[MANIFEST])
    assert manifest["day"] == DAY and [file["name"] for file in manifest["files"]] == [
        f"usage/{DAY}.csv", *(f"rollups/{DAY}/{name}.csv" for name in TABLES)]
    for file in manifest["files"]:
        body = store.objects[f"/bucket/line/{file['name']}"]
        assert (len(body), hashlib.sha256(body).hexdigest()) == (file["bytes"], file["sha256"])
        assert len(list(csv.DictReader(io.StringIO(body.decode(), newline="")))) == file["rows"]
    return manifest


def test_a_day_is_exported_whole_and_again_the_same(line, store):
    use(line, 60)
    use(line, 5, day="2026-11-19")
    use(line, 5, day="2026-11-21")
    line.must("meterctl", "rollup")
    done = export(line, store, "--day", DAY)
    assert done.returncode == 0, done.stderr
    assert store.requests[-1] == ("PUT", MANIFEST, 200), "the manifest is the last one"
    manifest = check_manifest(store)
    assert manifest["files"][0]["sums"] == [{"metric": "llm_tokens", "rows": 60, "events": 120, "quantity": "2655"}]
    rows = list(csv.DictReader(io.StringIO(store.objects[USAGE].decode(), newline="")))
    assert (rows[59]["tenant"], rows[59]["minute_at"], rows[59]["quantity_sum"]) == ('tenant, "1"', f"{DAY}T00:59Z", "88.5")
    first = dict(store.objects)
    line.must("meterctl", "rollup")
    assert export(line, store, "--day", f"{DAY}T13:00Z").returncode == 0
    assert store.objects == first, "a rollup that was made again in between changes nothing of that day"
    assert export(line, store, "--from", "2026-11-19", "--to", "2026-11-21").returncode == 0
    assert len(store.objects) == 3 * len(first) and {name: store.objects[name] for name in first} == first
    assert all(secret not in done.stdout + done.stderr for secret in (SECRET, KEY_ID))


def test_yesterday_is_what_is_exported_if_nothing_is_said(line, store):
    assert export(line, store).returncode == 0
    yesterday = line.value("SELECT ((now() AT TIME ZONE 'UTC')::date - 1)::text")
    assert f"/bucket/line/manifests/{yesterday}.json" in store.objects


def run_measured(line, store, *args, **settings):
    """(exit code, greatest memory in kB) of an export."""
    env = {**clean_env(line.env(**store.settings(**settings))), "ASAN_OPTIONS": "quarantine_size_mb=1:detect_leaks=0"}
    with subprocess.Popen([programs() / "meterctl", "export", *args], env=env, stdout=subprocess.DEVNULL) as child:
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode, usage.ru_maxrss


def test_a_large_day_goes_in_parts_through_little_memory(line, store):
    use(line, 1, day="2026-11-19")
    use(line, 1440, tenants=120)
    code, small = run_measured(line, store, "--day", "2026-11-19", EXPORT_PART_MB="5")
    assert code == 0
    code, large = run_measured(line, store, "--day", DAY, EXPORT_PART_MB="5")
    assert code == 0
    check_manifest(store)
    parts = [path for method, path, _ in store.requests if "partNumber=" in path]
    assert len(parts) == len(store.objects[USAGE]) // (5 * 1024 * 1024) + 1 >= 3 and store.uploads == {}
    assert large - small < 14_000, "a part of 5 MB, which grows by doubling"


def test_what_passes_is_tried_again(line, store):
    use(line, 3)
    store.fail(2, 503)
    store.fail(1, 0)
    assert export(line, store, "--day", DAY).returncode == 0
    check_manifest(store)


@pytest.mark.parametrize("settings, text", [
    ({"EXPORT_SECRET_ACCESS_KEY": "wrong"}, "403, SignatureDoesNotMatch"), ({"EXPORT_ACCESS_KEY_ID": "wrong"}, "403, InvalidAccessKeyId"),
    ({"EXPORT_REGION": "us-east-1"}, "403, InvalidAccessKeyId")])
def test_a_wrong_key_is_told_and_not_tried_again(line, store, settings, text):
    done = export(line, store, "--day", DAY, **settings)
    assert done.returncode == 1 and text in done.stderr and f"usage/{DAY}.csv" in done.stderr
    assert len(store.requests) == 1 and store.objects == {}


def test_a_store_that_dies_in_the_middle_leaves_no_manifest(line, store):
    use(line, 1440, tenants=60)
    store.dead_from_part = 2
    done = export(line, store, "--day", DAY, EXPORT_PART_MB="5")
    assert done.returncode == 1 and f"usage/{DAY}.csv" in done.stderr
    assert store.objects == {}
    store.dead_from_part = None
    store.failing.clear()
    assert export(line, store, "--day", DAY, EXPORT_PART_MB="5").returncode == 0
    check_manifest(store)


def test_an_export_that_is_killed_in_the_middle_is_whole_the_next_time(line, store):
    use(line, 1440, tenants=60)
    store.hold_part = 2
    env = clean_env(line.env(**store.settings(EXPORT_PART_MB="5")))
    with subprocess.Popen([programs() / "meterctl", "export", "--day", DAY], env=env, stdout=subprocess.DEVNULL) as child:
        assert store.held.wait(60)
        child.send_signal(signal.SIGKILL)
    assert store.objects == {}, "half an object is none"
    store.hold_part = None
    store.release.set()
    assert export(line, store, "--day", DAY, EXPORT_PART_MB="5").returncode == 0
    check_manifest(store)


def test_an_upload_that_is_not_completed_is_told_and_cancelled(line, store):
    use(line, 1440, tenants=60)
    store.completing.extend(["InternalError"] * 5)
    done = export(line, store, "--day", DAY, EXPORT_PART_MB="5")
    assert done.returncode == 1 and "200, InternalError" in done.stderr
    assert store.objects == {} and store.uploads == {}


def test_the_secret_may_stand_in_a_file(line, store, tmp_path):
    (tmp_path / "secret").write_text(SECRET + "\n", encoding="utf-8")
    done = export(line, store, "--day", DAY, EXPORT_SECRET_ACCESS_KEY=None, EXPORT_SECRET_ACCESS_KEY_FILE=str(tmp_path / "secret"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("url", ["s3://bucket/x", "https://host", "https://host/", "https://host//x", "https://host/b/../c", "https://host/b/",
                                 "https://user@host/b", "https://host/b?x", "ftp://host/b", "https:///b"])
def test_an_address_that_is_none_is_refused(line, url):
    done = line.meterctl("export", EXPORT_URL=url)
    assert done.returncode == 2 and "EXPORT_URL" in done.stderr


def test_what_is_missing_is_told(line):
    done = line.meterctl("export", EXPORT_URL="https://host/bucket")
    assert done.returncode == 2 and "EXPORT_SECRET_ACCESS_KEY are required" in done.stderr
    done = line.meterctl("export", "--day", DAY, "--to", DAY)
    assert done.returncode == 2 and "say one of both" in done.stderr
