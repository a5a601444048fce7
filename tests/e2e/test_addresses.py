"""Addresses of servers, and where our own programs listen."""

import os
import subprocess
import time
import urllib.request

import pytest

from line.paths import ROOT
from support.pages import blocks_for

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
UNUSABLE = [
    ("REDIS_URL", "http://127.0.0.1"), ("REDIS_URL", "redis://127.0.0.1:port"),
    ("REDIS_URL", "redis://:hunter2@127.0.0.1:6379/x"),
    ("DATABASE_URL", "meterline"), ("DATABASE_URL", "postgresql://u:hunter2@127.0.0.1:70000/d"),
    ("DATABASE_URL", "postgresql://u:hunter2@127.0.0.1/d?sslmode=on"),
    ("DATABASE_URL", "postgresql://u:hunter2@a,b:1,2,3/d?target_session_attrs=primary,hunter2"),
    ("OPS_LISTEN", ":port"), ("OPS_LISTEN", "9101")]
READERS = {"aggregator": {"REDIS_URL", "DATABASE_URL", "OPS_LISTEN"},
           "webhookd": {"REDIS_URL", "DATABASE_URL", "OPS_LISTEN"},
           "sink": {"DATABASE_URL", "OPS_LISTEN"}, "emitter": {"REDIS_URL"},
           "meterctl": {"REDIS_URL", "DATABASE_URL"}}


@pytest.mark.parametrize("name, value", UNUSABLE)
def test_what_can_never_work_is_refused_before_anything_listens(line, name, value):
    for program, names in READERS.items():
        if name not in names:
            continue
        done = line.run(program, *(["status"] if program == "meterctl" else []), timeout=20,
                        input="", **{name: value})
        assert done.returncode == 2, (program, done.stderr)
        assert f"setting={name}" in done.stderr and "event=listening" not in done.stderr
        assert "hunter2" not in done.stderr + done.stdout


@pytest.mark.parametrize("url, address", [("redis://127.0.0.1:1", "127.0.0.1:1"),
                                          ("unix:///no/such/socket", "/no/such/socket")])
def test_a_tool_names_the_server_that_it_does_not_reach(line, url, address):
    audit = line.run("meterctl", "audit", REDIS_URL=url)
    assert audit.returncode == 3 and f"connect to {address}: " in audit.stderr
    sent = line.run("emitter", "--give-up-after", "1", REDIS_URL=url,
                    input='{"tenant": "acme", "metric": "api_calls"}\n')
    assert sent.returncode == 1 and f"gave up after 1 s: connect to {address}: " in sent.stderr


def test_tls_is_there_or_refused_at_once(line):
    """Where hiredis has no TLS, as on Debian 12. Else the server is asked, and does not speak it."""
    url = line.redis.url.replace("redis://", "rediss://")
    stage = line.start_aggregator(REDIS_URL=url)
    told = stage.wait_log("peer_lost" if has_tls(line) else "setting_refused")
    assert "hiredis_ssl" in told["msg"] or told["peer"] == "redis"
    if not has_tls(line):
        assert stage.wait_exit() == 2 and not stage.logs("listening")


def has_tls(line):
    shown = line.run("aggregator", "--print-config", REDIS_URL="rediss://127.0.0.1:1")
    return shown.returncode == 0


def look_up_slowly(line, seconds):
    library = line.folder / "slow_names.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", "-o", library, ROOT / "tests" / "support" / "slow_names.c"],
                   check=True)
    return {"LD_PRELOAD": library, "SLOW_NAMES_S": seconds,
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}


def test_a_name_server_that_does_not_answer_holds_up_one_call_and_nothing_else(line):
    """Reading Stripe's meters is given up after 5 s; the lookup goes on for much longer."""
    sink = line.start_sink(STRIPE_API_BASE="https://stripe.slow", **look_up_slowly(line, 40))
    begun = sink.wait_log("started") and time.monotonic()
    while time.monotonic() < begun + 8:
        with OPENER.open(f"http://127.0.0.1:{sink.ops_port}/healthz", timeout=3) as answer:
            assert answer.status == 200
        time.sleep(0.1)
    sink.term()


@pytest.mark.parametrize("settings", [{"REDIS_URL": "redis://r.slow:6379"}, {"DATABASE_URL": "postgresql://p.slow/x"}])
def test_a_name_server_that_does_not_answer_keeps_nobody_from_ending(line, settings):
    stage = line.start_aggregator(**settings, **look_up_slowly(line, 40))
    stage.wait_log("started")
    stage.term()
    assert stage.logs("stopped")[0]["code"] == "0" and not stage.logs("close_stuck")


@pytest.mark.parametrize("listen, hosts", [(":0", ["127.0.0.1", "[::1]"]),
                                           ("127.0.0.1:0", ["127.0.0.1"]), ("[::1]:0", ["[::1]"])])
def test_a_port_alone_listens_on_ipv6_and_ipv4(line, listen, hosts):
    stage = line.start_webhookd(OPS_LISTEN=listen, WEBHOOKD_LISTEN=listen, STRIPE_SECRET_KEY=None)
    for host in hosts:
        ops = f"http://{host}:{stage.ops_port}/healthz"
        with OPENER.open(ops, timeout=5) as answer:
            assert answer.status == 200
        hook = f"http://{host}:{stage.port('webhooks')}/webhooks/stripe"
        with pytest.raises(urllib.error.HTTPError) as refusal:
            OPENER.open(urllib.request.Request(hook, b"{}", method="POST"), timeout=5)
        assert refusal.value.code == 400
    for host in {"127.0.0.1", "[::1]"} - set(hosts):
        with pytest.raises(urllib.error.URLError):
            OPENER.open(f"http://{host}:{stage.ops_port}/healthz", timeout=5)


@pytest.mark.own_servers
def test_an_acl_user_with_the_rights_that_the_page_names_is_enough(line):
    [block] = blocks_for("tests/e2e/test_addresses.py")
    rule = block.text.strip()
    line.client().execute_command(*rule.replace("'", "").replace("…", "s:cret%").split())
    url = line.redis.url.replace("//", "//meterline:s%3Acret%25@")
    for name in ("aggregator", "webhookd"):
        line.start(name, REDIS_URL=url, AGGREGATOR_FLUSH_MS=100, STRIPE_SECRET_KEY=None, WEBHOOKD_HEAL_S=1,
                   LOG_LEVEL="debug").wait_ready()
    emitted = line.must("emitter", REDIS_URL=url, input='{"tenant": "t1", "metric": "api_calls"}\n')
    assert "1 sent" in emitted.stdout + emitted.stderr
    line.wait_for(lambda: line.client().hget("quota:{t1}", "api_calls.used") == "1", 20, "counted")
    line.wait_for(lambda: line.client().hget("quota:{t1}", "api_calls.limit"), 20, "limits")
    line.start_sandbox(rate_per_s=0)
    line.start("sink", REDIS_URL=url, SINK_INTERVAL_S=1).wait_ready()
    line.wait_for(lambda: line.client().keys("meterline:sent:*"), 20, "Redis is told what is sent")
    line.wait_for(lambda: line.client().exists("meterline:quota_checked"), 20, "quotas are gone over")
    for command in (["status"], ["audit"], ["stream", "reset"], ["reshard", "2"]):
        line.must("meterctl", *command, REDIS_URL=url, timeout=90)
    for stage in line.stages:
        assert not [each for each in stage.logs() if "NOPERM" in each.get("msg", "")]
        assert not stage.logs(level="error") and not stage.logs("redis_durability_unknown")


@pytest.mark.own_servers
def test_a_socket_serves_as_well_as_a_port(line):
    line.redis.conf["unixsocket"] = line.redis.folder / "redis.sock"
    line.redis.restart()
    url = f"unix://{line.redis.folder / 'redis.sock'}"
    if len(url) > 100:
        pytest.skip("the folder's path is too long for a socket")
    aggregator = line.start_aggregator(REDIS_URL=url, AGGREGATOR_FLUSH_MS=100).wait_ready()
    line._disconnect()
    line.xadd(tenant="t1", metric="api_calls")
    aggregator.wait_log("batch_committed")
    line.must("meterctl", "status", REDIS_URL=url)
