"""What libmeterline took is counted once, whoever is killed meanwhile."""

import random
import re
import struct
import subprocess
import time

import pytest

from line.paths import ROOT, programs
from support import library_build
from support.ledger_proof import assert_balanced, settle
from support.seeds import new_seed, seconds

THREADS = 8
EMIT = programs().parent / "bench" / "emit"
DURABLE = {"appendonly": "yes", "appendfsync": "always"}


def start_service(line, run, events, per_s=0, folder="spool"):
    """A service that emits on THREADS threads. How many of each were taken is in its progress."""
    return subprocess.Popen([EMIT, line.redis.url, line.folder / folder if folder != "-" else folder, str(THREADS),
                             str(events), str(per_s), line.folder / f"{run}.progress", run],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def progress(line, run):
    path = line.folder / f"{run}.progress"
    data = path.read_bytes() if path.exists() else b""
    return struct.unpack(f"{THREADS}Q", data[:8 * THREADS].ljust(8 * THREADS, b"\0"))


def finish(service):
    out, err = service.communicate(timeout=60)
    assert service.returncode == 0, out + err
    return dict(pair.split("=") for pair in out.split())


def left(line):
    return [path.name for path in (line.folder / "spool").iterdir() if path.name != "lock"]


def counted(line, run):
    """How many events of each thread are in the ledger. They are the first ones, each once."""
    found = {}
    for row in line.sql("SELECT event_id, count(*) AS n FROM usage_events WHERE event_id LIKE %s GROUP BY 1", f"{run}-%"):
        _, thread, number = row.event_id.rsplit("-", 2)
        assert row.n == 1, row.event_id
        found.setdefault(int(thread), set()).add(int(number))
    for numbers in found.values():
        assert numbers == set(range(len(numbers)))
    return [len(found.get(thread, ())) for thread in range(THREADS)]


def test_events_arrive_and_the_spool_ends_empty(line):
    aggregator = line.start_aggregator()
    found = finish(start_service(line, "a", 5000))
    assert (found["emitted"], found["sent"], found["recovered"], found["refused"]) == ("40000", "40000", "0", "0")
    assert left(line) == []
    found = finish(start_service(line, "b", 1000, folder="-"))
    assert found["sent"] == "8000"
    line.wait_for(lambda: line.value("SELECT sum(counted) FROM stream_positions") == 48000, what="all of them")
    assert counted(line, "a") == [5000] * THREADS and counted(line, "b") == [1000] * THREADS
    aggregator.term()


@pytest.mark.own_servers(redis=DURABLE)
def test_a_service_that_is_killed_while_redis_comes_and_goes_loses_nothing(line):
    seed = random.Random(new_seed())
    until = time.monotonic() + seconds("LIBRARY_S", 6, 120)
    line.start_aggregator()
    runs, seen = [], 0
    while time.monotonic() < until:
        runs.append(f"run{len(runs)}")
        service = start_service(line, runs[-1], 10**9, 1000)
        time.sleep(seed.uniform(0.2, 1.5))
        fault = seed.choice(["none", "stop", "kill"])
        if fault == "kill":
            line.redis.restart()
        elif fault == "stop":
            line.redis.stop()
            time.sleep(seed.uniform(0, 1))
        service.kill()
        service.communicate()
        if fault == "stop":
            line.redis.start()
        seen += sum(progress(line, runs[-1]))
    last = finish(start_service(line, "last", 1))
    assert left(line) == [] and seen > 500 * THREADS
    settle(line)
    for run in runs:
        taken, found = progress(line, run), counted(line, run)
        # The one that was under way when it was killed may be there.
        assert all(n <= m <= n + 1 for n, m in zip(taken, found)), (run, taken, found)
    assert counted(line, "last") == [1] * THREADS and last["sent"] == "8"
    audit = assert_balanced(line)
    assert audit.total("conflicts") == audit.total("rejected") == 0


def test_two_services_may_not_share_a_folder(line):
    first = start_service(line, "first", 10**9, 100)
    line.wait_for(lambda: sum(progress(line, "first")) > 0, what="it emits")
    second = start_service(line, "second", 1)
    _, err = second.communicate(timeout=30)
    assert second.returncode == 1 and "another process has the spool" in err
    first.kill()
    first.communicate()


def test_what_redis_refuses_waits_until_it_does_not(line):
    """A key that is no stream is somebody's mistake: nothing is thrown away for it."""
    line.client().set("usage:events", "no stream")
    service = start_service(line, "kept", 100)
    line.wait_for(lambda: sum(progress(line, "kept")) == 100 * THREADS, what="all is taken")
    time.sleep(0.3)
    assert service.poll() is None
    line.client().delete("usage:events")
    assert finish(service)["sent"] == "800"
    assert line.client().xlen("usage:events") == 800


def test_the_example_builds_against_what_is_installed(line, tmp_path):
    """It is the shared library that a service gets: what it exports, and what pkg-config says of it."""
    library_build.install(tmp_path)
    example, = re.findall("```c\n(.*?)```", (ROOT / "emitter" / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "service.c").write_text(example, encoding="utf-8")
    library_build.compile_against(tmp_path, tmp_path / "service.c", tmp_path / "service")
    subprocess.run([tmp_path / "service"], check=True, env={
        **library_build.environment(tmp_path), "REDIS_URL": line.redis.url, "SPOOL": str(tmp_path / "spool")})
    (_, fields), = line.client().xrange("usage:events")
    assert (fields["tenant"], fields["metric"], fields["quantity"]) == ("acme", "api_calls", "2")
    assert re.fullmatch("[0-9a-f-]{36}", fields["id"]) and abs(int(fields["ts"]) / 1000 - time.time()) < 60
    shown = subprocess.run(["nm", "-D", "--defined-only", tmp_path / "lib" / "libmeterline.so.0"], check=True,
                           capture_output=True, text=True).stdout
    declared = re.findall(r"^METERLINE_API .*?(meterline_\w+)\(", (tmp_path / "include" / "meterline.h").read_text(), re.MULTILINE)
    assert set(re.findall(r" T (\w+)", shown)) == set(declared)
    subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", tmp_path / "share" / "man" / "man3" / "meterline.3"], check=True,
                   capture_output=True)
