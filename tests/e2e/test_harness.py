"""The harness itself: servers keep their port and their data, nothing outlives us, nothing of the
machine's settings reaches a child."""

import contextlib
import os
import pathlib
import re
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import types

import psycopg2
import pytest
import redis

from chaos.faults import Faults
from chaos.plan import Fault
from line import Line, NotInTime, Postgres, Redis, Stage, wait_until
from line import logfmt, process, prometheus
from line.paths import ROOT, can_enter
from line.shared import SharedServers


def test_redis_keeps_port_and_data_over_kill_and_loses_all_when_restarted_empty(redis_server):
    port = redis_server.port
    redis_server.client().xadd("usage:events", {"tenant": "a"})
    redis_server.restart()
    assert redis_server.port == port
    assert redis_server.client().xlen("usage:events") == 1
    redis_server.restart_empty()
    assert redis_server.client().xlen("usage:events") == 0
    assert redis_server.client().config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"


def test_redis_with_appendfsync_always_survives_sigkill(folder):
    server = Redis(folder, appendfsync="always")
    server.start()
    server.client().set("a", 1)
    server.kill()
    server.start()
    assert server.client().get("a") == "1"
    server.close()


@pytest.mark.parametrize("kind", ["kill", "lose the last second", "restart"])
@pytest.mark.parametrize("lossy", [True, False])
def test_services_of_a_chaos_round_send_again_whatever_a_redis_may_have_lost(folder, kind, lossy):
    """A Redis of everysec acknowledges for up to 2 s what it did not even write, while its disk is busy. Who was told
    nothing would go on with what follows what is lost: a retraction, say, whose event is gone."""
    services = [types.SimpleNamespace(sending=threading.Lock(), losses=0) for _ in range(3)]
    began = []  # What each had been told, and whether it was kept from sending, when Redis was back.
    server = types.SimpleNamespace(kill=lambda: None, stop=lambda: None, data=folder, start=lambda: began.extend(
        (service.losses, service.sending.locked()) for service in services))
    field = types.SimpleNamespace(services=services, target=lambda family, number: server,
                                  line=types.SimpleNamespace(redis=server, postgres=None))
    Faults(field, None, lossy).do(Fault(0, "redis", kind, 1, 0.5))()
    told = kind == "lose the last second" or lossy and kind == "kill"
    assert began == [(int(told), told)] * 3
    assert not any(service.sending.locked() for service in services)


def test_paused_redis_does_not_answer(redis_server):
    redis_server.pause()
    with pytest.raises(redis.TimeoutError):
        redis_server.client(socket_timeout=0.2).ping()
    redis_server.resume()
    assert redis_server.client().ping()


def test_redis_replica_copies_its_primary(folder, redis_server):
    redis_server.client().set("a", 1)
    replica = redis_server.replica(folder / "replica")
    wait_until(lambda: replica.client().get("a") == "1", 10, "the key is copied")
    replica.close()


def test_postgres_keeps_port_and_data_over_kill(postgres_server):
    port = postgres_server.port
    with postgres_server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t AS SELECT 1 AS a")
    postgres_server.kill()
    with pytest.raises(psycopg2.OperationalError):
        postgres_server.connect()
    postgres_server.start()
    assert postgres_server.port == port
    with postgres_server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT a FROM t")
        assert cursor.fetchone().a == 1


def test_paused_postgres_does_not_answer(postgres_server):
    connection = postgres_server.connect()
    connection.cursor().execute("SET statement_timeout = '10s'")
    postgres_server.pause()
    backend = connection.info.backend_pid
    assert process.is_frozen(backend) and process.is_frozen(postgres_server.pid)
    postgres_server.resume()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 AS a")
        assert cursor.fetchone().a == 1


@pytest.mark.parametrize("paused", [False, True], ids=["running", "paused"])
def test_servers_die_with_a_killed_parent(folder, paused):
    script = textwrap.dedent(f"""
        import sys; sys.path.insert(0, {str(ROOT / "tests")!r})
        from line import Postgres, Redis
        servers = [Redis({str(folder)!r}).start(), Postgres({str(folder)!r}).start()]
        keep = servers[1].connect()
        from line.process import children_of
        pids = [server.pid for server in servers] + children_of(servers[1].pid)
        if {paused}: [server.pause() for server in servers]
        print(*pids, flush=True)
        sys.stdin.read()
    """)
    parent = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) >= 4
    parent.kill()
    parent.communicate()
    wait_until(lambda: not any(map(process.is_alive, pids)), 15, f"{pids} are gone")


def test_children_see_nothing_of_the_environment(monkeypatch):
    for name in ("DATABASE_URL", "REDIS_URL", "STRIPE_SECRET_KEY", "PGHOST", "OPS_LISTEN"):
        monkeypatch.setenv(name, "from outside")
    seen = process.run(["env"], env={"LOG_LEVEL": "debug", "LANG": None}).stdout
    assert "from outside" not in seen and "LOG_LEVEL=debug" in seen and "LANG=" not in seen


def test_a_folder_that_the_servers_user_cannot_enter_is_recognised(folder):
    if os.geteuid() != 0:
        pytest.skip("only root runs PostgreSQL as another user")
    closed = folder / "closed"
    (closed / "inner").mkdir(parents=True)
    assert can_enter(pathlib.Path("/var/tmp"))
    closed.chmod(stat.S_IRWXU)
    assert not can_enter(closed / "inner")
    server = Postgres(closed / "inner").start()
    assert str(server.data).startswith("/var/tmp/meterline-")
    server.close()
    assert not server.data.parent.exists()


# A stand-in for one of our programs: serves /readyz and /metrics, ends with 0 on SIGTERM.
FAKE = """#!/usr/bin/python3
import http.server, os, signal, sys

class Ops(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        for peer in "redis", "postgres":
            self.wfile.write(b'meterline_peer_up{peer="%s"} 1\\n' % peer.encode())
    def log_message(self, *args): pass

def log(event, more=""):
    print(f"ts=2026-01-01T00:00:00.000Z level=info stage=fake event={event} {more}",
          file=sys.stderr, flush=True)

signal.signal(signal.SIGTERM, lambda *args: sys.exit(0))
server = http.server.HTTPServer(("127.0.0.1", 0), Ops)
log("listening", f"name=ops address=127.0.0.1:{server.server_port}")
log("started", f'msg="key \\\\"{os.environ["STRIPE_SECRET_KEY"]}\\\\""')
server.serve_forever()
"""


@pytest.fixture
def fake(folder, monkeypatch):
    path = folder / "bin" / "meterline-fake"
    path.parent.mkdir()
    path.write_text(FAKE, encoding="utf-8")
    path.chmod(0o755)
    monkeypatch.setenv("METERLINE_BIN", str(path.parent))
    return Line(folder)


def test_a_stage_is_seen_through_its_log_and_its_ops_listener(fake):
    stage = fake.start("fake")
    assert stage.wait_log("started")["msg"] == f'key "{fake.settings["STRIPE_SECRET_KEY"]}"'
    stage.wait_ready()
    assert stage.metric("meterline_peer_up") == 2
    assert stage.metric("meterline_peer_up", peer="redis") == 1
    assert stage.metric("meterline_absent") is None
    stage.term()
    assert stage.returncode == 0
    assert "event=started" in (fake.folder / "fake.log").read_text(encoding="utf-8")


def test_waiting_for_a_log_line_tells_what_was_logged_instead(fake):
    stage = fake.start("fake")
    stage.wait_log("started")
    with pytest.raises(NotInTime, match="is silent.*\n(.*\n)*.*event=started"):
        stage.wait_log("stopped", timeout=0.1)
    stage.kill9()
    assert stage.returncode == -signal.SIGKILL
    with pytest.raises(NotInTime, match="ended"):
        stage.wait_log("stopped")


def test_a_missing_program_is_said(fake):
    with pytest.raises(FileNotFoundError, match="run `make` first"):
        Stage("absent")


def test_the_sandbox_is_tied_and_known_to_later_stages(folder):
    own = Line(folder)
    assert "STRIPE_API_BASE" not in own.env()
    sandbox = own.start_sandbox(rate_per_s=0)
    assert own.env()["STRIPE_API_BASE"] == sandbox.url
    assert sandbox.totals() == []
    assert os.getsid(sandbox.process.pid) == sandbox.process.pid
    own.close()
    assert sandbox.process.returncode is not None


def test_wait_for_takes_a_lost_server_as_not_yet(folder):
    own = Line(folder)
    seen = []

    def answer():
        seen.append(1)
        if len(seen) < 3:
            raise ConnectionError("away")
        return "back"

    assert own.wait_for(answer) == "back"
    with pytest.raises(NotInTime, match="the moon"):
        own.wait_for(lambda: 0, 0.05, "the moon")


def test_log_lines_and_metrics_are_parsed():
    line = r'ts=2026-01-01T00:00:00Z level=warn event=x empty= msg="a \"b\"\n\x01c\\" n=3'
    assert logfmt.parse(line) == {"ts": "2026-01-01T00:00:00Z", "level": "warn", "event": "x",
                                  "empty": "", "msg": 'a "b"\n\x01c\\', "n": "3"}
    assert logfmt.parse("==12==ERROR: AddressSanitizer") == {}
    found = prometheus.Metrics('# TYPE a counter\na{x="1",y="2"} 3\na{x="2"} 4.5\nb +Inf\n')
    assert str(found.value("a")) == "7.5" and found.value("a", x="1") == 3
    assert found.value("b").is_infinite()


# Servers that tests use in turn.

@pytest.fixture(name="shared", scope="module")
def shared_fixture(tmp_path_factory):
    shared = SharedServers(tmp_path_factory.mktemp("shared"))
    yield shared
    shared.close()


def test_each_line_finds_shared_servers_without_anything_of_the_one_before(shared, folder):
    for _ in range(2):
        own = Line(folder, **shared.lines())
        assert own.client().dbsize() == 0 and "cmdstat_xadd" not in own.client().info("commandstats")
        assert own.value("SELECT count(*) FROM billing_customers") == 0
        assert own.value("SELECT count(*) FROM metrics") > 0
        own.xadd(tenant="a")
        own.client().function_load("#!lua name=left\nredis.register_function('left', function() return 1 end)")
        own.sql("INSERT INTO billing_customers (tenant, stripe_customer_id) VALUES ('a', 'cus_1')")
        own.sql("ALTER DATABASE meterline SET work_mem = '1MB'")
        own.close()
        assert shared.harm() == ""


@pytest.mark.parametrize("use", [lambda line: line.redis.restart(), lambda line: line.redis.process,
                                 lambda line: line.postgres.conf.update(fsync="on")])
def test_what_would_hurt_shared_servers_is_refused(shared, folder, use):
    with pytest.raises(AssertionError, match="own_servers"):
        use(Line(folder, **shared.lines()))
    assert shared.harm() == ""


def change_redis(line):
    line.client().config_set("maxmemory", "100mb")
    line.client().acl_setuser("left_behind", enabled=True)


def change_postgres(line):
    line.sql("CREATE ROLE left_behind")
    line.sql("ALTER ROLE meterline_ctl SET work_mem = '1MB'")
    line.sql("ALTER SYSTEM SET work_mem = '1MB'")
    line.sql("CREATE DATABASE left_behind")


def kill_a_process(line):
    """And waits until PostgreSQL has noticed, a moment later: then it ends every connection."""
    pid = line.value("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
    with contextlib.closing(line.postgres.connect()) as until, pytest.raises(psycopg2.OperationalError):
        os.kill(pid, signal.SIGKILL)
        until.cursor().execute("SELECT pg_sleep(60)")


@pytest.mark.parametrize("change, told", [
    (change_redis, ["Redis' settings.*maxmemory", "Redis' users.*left_behind"]),
    (lambda line: line.client().execute_command("REPLICAOF", "127.0.0.1", "1"), ["Redis' role.*slave"]),
    (change_postgres, ["^roles.*left_behind", "^settings of roles.*meterline_ctl", "^settings in files.*work_mem",
                       "^databases.*left_behind"]),
    (kill_a_process, ["Error"])])
def test_who_changes_shared_servers_is_told_so_and_the_next_has_others(shared, folder, change, told):
    own = Line(folder, **shared.lines())
    change(own)
    harm = shared.harm()
    assert all(re.search(each, harm, re.MULTILINE) for each in told), harm
    own.close()
    assert Line(folder, **shared.lines()).client().dbsize() == 0 and shared.harm() == ""


def test_no_test_module_is_imported_by_another():
    """What two need is in tests/support/."""
    found = [f"{path.relative_to(ROOT)}: {text}" for path in (ROOT / "tests").rglob("*.py")
             for text in path.read_text(encoding="utf-8").splitlines()
             if re.match(r"\s*(from|import) (e2e\.)?test_", text)]
    assert not found
