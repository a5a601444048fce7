"""The emitter's daemon by wrk: batches of events; checks of quotas, beside libmicrohttpd alone in the same run."""

import contextlib
import re
import subprocess
import threading
import time

from line import process
from line.wait import wait_until

from . import settings

BATCH = """
local parts = {}
for i = 1, %d do
  parts[i] = string.format('{"tenant":"tenant-%%d","metric":"api_calls","quantity":"1","id":"%%%%s-%%d"}', i %% 50, i)
end
local body, n = "[" .. table.concat(parts, ",") .. "]", 0
math.randomseed(os.time())
local run = math.random(1000000000)
request = function()
  n = n + 1
  return wrk.format("POST", "/v1/events", {["Content-Type"] = "application/json"}, (string.gsub(body, "%%%%s", run .. "-" .. n)))
end
"""
CHECK = """
local n = 0
request = function()
  n = (n + 7) %% %d
  return wrk.format("GET", "/v1/quota/check", {["X-Tenant"] = "tenant-" .. n, ["X-Metric"] = "api_calls"})
end
"""
FAULTS = re.compile(r"Socket errors: (.*)|Non-2xx or 3xx responses: (\d+)")


def run(line):
    line.start_webhookd(STRIPE_SECRET_KEY=None).wait_ready()
    line.wait_for(lambda: line.client().function_list("meterline_quota"), 20, "the functions")
    limit_all(line)
    daemon = line.start_emitter(EMITTER_SPOOL=str(line.folder / "door"), EMITTER_SPOOL_MAX_MB="1024").wait_ready()
    result = {"batch": settings.DOOR_BATCH, **post_batches(line, daemon), **check_quotas(line, daemon)}
    result["peak_mib"] = float(daemon.metric("meterline_memory_bytes")) / 2**20
    daemon.term()
    return result


def limit_all(line):
    pipeline = line.client().pipeline()
    ends = int(time.time() * 1000) + 3600_000
    for number in range(settings.DOOR_TENANTS):
        pipeline.hset(f"quota:{{tenant-{number}}}", mapping={
            "status": "active", "api_calls.limit": "1000", "api_calls.cap": "hard", "api_calls.used": "12",
            "api_calls.period_end": ends})
    pipeline.execute()


def post_batches(line, daemon):
    """Until Redis has all of them. It fails if the two counts differ."""
    before = accepted(daemon)
    began = time.monotonic()
    took = wrk(line, daemon.port("events"), BATCH % settings.DOOR_BATCH, 8)
    events = accepted(daemon) - before
    taken_s = time.monotonic() - began
    wait_until(lambda: line.client().xinfo_stream("usage:events")["entries-added"] >= events, 120, "all of them are in Redis")
    whole_s = time.monotonic() - began
    added = line.client().xinfo_stream("usage:events")["entries-added"]
    assert added == events and events >= took["requests"] * settings.DOOR_BATCH, (added, events, took)
    line.client().delete("usage:events")
    return {"events_per_s": events / taken_s, "in_redis_per_s": events / whole_s, "post_p99_ms": took["p99_ms"]}


def accepted(daemon):
    return int(daemon.metric("meterline_emitter_events_total", outcome="accepted"))


def check_quotas(line, daemon):
    """In turn, since the machine is not always the same: the best of each."""
    bare, checks, ages = [], [], []
    with start_bare() as port:
        for _ in range(settings.EMIT_ROUNDS):
            bare.append(wrk(line, port, CHECK % settings.DOOR_TENANTS, 64))
            with watch_ages(daemon.port("events"), ages):
                checks.append(wrk(line, daemon.port("events"), CHECK % settings.DOOR_TENANTS, 64))
    best = max(checks, key=lambda one: one["per_s"])
    ages.sort()
    return {"checks_per_s": best["per_s"], "bare_per_s": max(one["per_s"] for one in bare),
            "check_p99_ms": best["p99_ms"], "bare_p99_ms": min(one["p99_ms"] for one in bare),
            "age_p50_ms": ages[len(ages) // 2], "age_max_ms": ages[-1]}


@contextlib.contextmanager
def start_bare():
    bare = process.spawn([settings.TOOLS / "bare"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield int(bare.stdout.readline())
    finally:
        bare.stdin.close()
        bare.wait()


@contextlib.contextmanager
def watch_ages(port, ages):
    """How old answers are, as they arrive: now and then, beside the load."""
    ended = threading.Event()

    def watch():
        while not ended.wait(0.02):
            text = subprocess.run(["curl", "-s", "-o", "/dev/null", "-D", "-", "-H", "X-Tenant: tenant-7", "-H", "X-Metric: api_calls",
                                   f"http://127.0.0.1:{port}/v1/quota/check"], capture_output=True, text=True).stdout
            found = re.search(r"Meterline-As-Of: (\S+?)\.(\d+)Z", text)
            if found:
                asked = time.mktime(time.strptime(found[1], "%Y-%m-%dT%H:%M:%S")) - time.timezone + int(found[2]) / 1000
                ages.append(max(0, (time.time() - asked) * 1000))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def wrk(line, port, script, connections, may_time_out=False):
    """may_time_out: of a peer, whose slowness is what is measured."""
    path = line.folder / "wrk.lua"
    path.write_text(script, encoding="utf-8")
    text = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{settings.DOOR_S}", "--latency", "-s", path,
                           f"http://127.0.0.1:{port}/"], check=True, capture_output=True, text=True).stdout
    faults = FAULTS.search(text)
    is_slow = may_time_out and faults and re.fullmatch(r"connect 0, read 0, write 0, timeout \d+", faults[1] or "")
    assert not faults or is_slow, text
    number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    return {"per_s": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),
            "requests": int(re.search(r"(\d+) requests in", text)[1]),
            "p99_ms": float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]}


def tell(result):
    print(f"  the daemon, {result['batch']} events a request: {result['events_per_s']:,.0f} events/s taken, "
          f"{result['in_redis_per_s']:,.0f}/s until all are in Redis; p99 {result['post_p99_ms']:.1f} ms; {result['peak_mib']:.0f} MiB")
    print(f"  checks of quotas: {result['checks_per_s']:,.0f}/s, p99 {result['check_p99_ms']:.1f} ms, answers "
          f"{result['age_p50_ms']:.0f} ms old in the middle, {result['age_max_ms']:.0f} at most; libmicrohttpd alone: "
          f"{result['bare_per_s']:,.0f}/s, p99 {result['bare_p99_ms']:.1f} ms")
