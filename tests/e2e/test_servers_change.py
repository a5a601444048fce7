"""PostgreSQL that changes under a process that lives: what it refuses for its own reasons is waited
for, who cannot write is left, and nobody's defaults matter."""

import contextlib
import subprocess
import time

import pytest

from line import Postgres
from line.line import STREAM
from line.paths import POSTGRES_USER
from line.postgres_template import tool
from support.aggregator import start
from support.forwarder import Forwarder
from support.ledger_proof import Emitter, assert_balanced, position, prove, reasons, settle
from support.webhooks import Events, customer, deliver, post

pytestmark = pytest.mark.own_servers

HOSTILE = {"default_transaction_isolation": "serializable", "default_transaction_read_only": "on",
           "default_transaction_deferrable": "on", "TimeZone": "Asia/Kathmandu",
           "DateStyle": "German, DMY", "IntervalStyle": "sql_standard", "bytea_output": "escape",
           "extra_float_digits": "-10", "search_path": "nowhere", "row_security": "off",
           "array_nulls": "off", "standard_conforming_strings": "off",
           "transform_null_equals": "on", "synchronous_commit": "off", "lock_timeout": "1ms",
           "statement_timeout": "200ms", "idle_in_transaction_session_timeout": "150ms",
           "idle_session_timeout": "700ms", "client_encoding": "LATIN1"}


def keep_from_us(line):
    """The test's own login has the server's settings, which are stronger than the database's."""
    line._disconnect()
    plain = line.postgres.url_of("postgres", "postgres")
    with contextlib.closing(line.postgres.connect(plain)) as ours:
        for name in HOSTILE.keys() - {"client_encoding"}:
            ours.cursor().execute(
                f"ALTER ROLE postgres IN DATABASE meterline SET {name} FROM CURRENT")


def why_not_ready(stage):
    status, text = stage.get("/readyz")
    return None if status == 200 else text


@pytest.mark.parametrize("whose", ["ROLE app", "DATABASE meterline"])
def test_no_defaults_of_role_or_database_matter(line, whose):
    line.sql("CREATE ROLE app LOGIN")
    line.sql("GRANT meterline_aggregator, meterline_sink, meterline_webhookd, meterline_ctl TO app")
    for name, value in HOSTILE.items():
        line.sql(f"ALTER {whose} SET {name} = {value if ',' in value else repr(value)}")
    keep_from_us(line)
    line.settings["DATABASE_URL"] = line.postgres.url_of("app")
    emitter = Emitter(line)
    aggregator = start(line)
    webhookd = line.start_webhookd(STRIPE_SECRET_KEY=None).wait_ready()
    line.start_sandbox(rate_per_s=0)
    theirs = line.sandbox.bootstrap(meters=[{"event_name": "api_calls", "formula": "sum"}],
                                    tenants=["t1"])["tenants"]["t1"]["customer"]
    line.start_sink(SINK_INTERVAL_S=1).wait_ready()
    # As Stripe would, again after a 503: idle sessions are cut every 0.7 s.
    event = Events().make("customer.created", customer(id=theirs, tenant="t1"))
    line.wait_for(lambda: post(webhookd, event)[0] == 200)
    emitter.add_all(emitter.usage(300, repeats=0.2))
    # With a batch that takes longer than the timeouts of the role.
    with contextlib.closing(line.postgres.connect()) as other:
        other.autocommit = False
        other.cursor().execute("LOCK TABLE rejected_events IN SHARE MODE")
        emitter.add(tenant="t1", metric="no_such")
        line.wait_for(lambda: line.value("SELECT count(*) FROM pg_locks WHERE NOT granted"), 10,
                      "somebody waits for the lock")
        with pytest.raises(AssertionError):
            line.wait_for(lambda: not line.value(
                "SELECT count(*) FROM pg_locks WHERE NOT granted"), 1, "it gives up")
        other.rollback()
    settle(line)
    prove(line, emitter.oracle)
    line.wait_for(lambda: line.value("SELECT count(*) FROM billing_customers") == 1, 20,
                  "the webhook is worked")
    for command in (["status"], ["audit"], ["rebuild", "--check"], ["rejected", "list"]):
        line.must("meterctl", *command)
    assert not aggregator.logs("peer_lost") and not aggregator.logs("stream_step_failed")
    assert not webhookd.logs("webhook_delayed")


class Standby(Postgres):
    """A hot standby of another server, in a folder of its own."""

    def __init__(self, folder, primary):
        super().__init__(folder / "standby", hot_standby="on", **primary.conf)
        self.primary = primary

    def prepare(self):
        if self.data.exists():
            return
        done = subprocess.run(
            [tool("pg_basebackup"), "-h", "127.0.0.1", "-p", str(self.primary.port), "-U",
             "postgres", "-D", self.data, "-R", "-X", "stream", "-c", "fast", "--no-sync"],
            user=POSTGRES_USER, group=POSTGRES_USER, cwd="/", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def promote(self):
        with contextlib.closing(self.connect()) as connection:
            connection.cursor().execute("SELECT pg_promote(true, 30)")


@pytest.fixture(name="standby")
def standby_fixture(line):
    if POSTGRES_USER:
        line.folder.chmod(0o755)
    server = Standby(line.postgres.data.parent, line.postgres)
    if POSTGRES_USER:
        subprocess.run(["chown", POSTGRES_USER, server.data.parent], check=True)
    server.start()
    yield server
    server.close()


def both(*servers):
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    return f"postgresql://postgres@{hosts}/meterline"


def test_of_two_hosts_the_one_that_can_write_is_found_again(line, standby):
    """The primary restarts while the second one, a hot standby, answers; then they change roles."""
    line.settings["DATABASE_URL"] = both(standby, line.postgres)
    emitter = Emitter(line)
    aggregator = start(line)
    webhookd = line.start_webhookd(STRIPE_SECRET_KEY=None).wait_ready()
    line.start_sandbox(rate_per_s=0)
    sink = line.start_sink(SINK_INTERVAL_S=1).wait_ready()
    aggregator.wait_ready()
    emitter.add_all(emitter.usage(100))
    settle(line)
    line.must("meterctl", "status")
    stages = (aggregator, webhookd, sink)
    line.postgres.stop()
    for stage in stages:
        line.wait_for(lambda stage=stage: "read-only" in (why_not_ready(stage) or ""), 20,
                      "it says that there is only a standby")
    emitter.add_all(emitter.usage(100, seed=1))
    line.postgres.start()
    settle(line, timeout=15)
    for stage in stages:
        stage.wait_ready(15)
        told = [lost["msg"] for lost in stage.logs("peer_lost")]
        assert 1 <= len(told) <= 4 and len(set(told)) == len(told), "a line a cause"
    line.wait_for(lambda: line.value("SELECT count(*) FROM pg_stat_replication") == 1, 20,
                  "the standby follows")
    line.wait_for(lambda: line.value(
        "SELECT bool_and(replay_lsn = pg_current_wal_lsn()) FROM pg_stat_replication"), 20,
        "it has all")
    line.postgres.stop()
    standby.promote()
    line._disconnect()
    line.postgres, old = standby, line.postgres
    emitter.add_all(emitter.usage(100, seed=2))
    settle(line, timeout=15)
    prove(line, emitter.oracle)
    line.postgres = old
    old.start()


def test_on_a_read_only_server_no_stage_is_ready_and_each_says_why(line, standby):
    """The address leads to a standby, as after a failover that went wrong; then it is promoted."""
    with Forwarder(line.postgres.port) as forwarder:
        url = line.postgres.url.replace(f":{line.postgres.port}/", f":{forwarder.port}/")
        line.settings["DATABASE_URL"] = url
        stages = [start(line), line.start_webhookd(STRIPE_SECRET_KEY=None),
                  line.start_sink(SINK_INTERVAL_S=1)]
        for stage in stages:
            stage.wait_ready()
        emitter = Emitter(line)
        emitter.add_all(emitter.usage(100))
        settle(line)
        line.wait_for(lambda: line.value(
            "SELECT bool_and(replay_lsn = pg_current_wal_lsn()) FROM pg_stat_replication"), 20,
            "it has all")
        forwarder.cut(standby.port)
        emitter.add_all(emitter.usage(50, seed=2))
        for stage in stages:
            line.wait_for(lambda stage=stage: "read-only" in (why_not_ready(stage) or ""), 20,
                          "it says why it is not ready")
        # And it stays like that, though each try connects.
        tries = {stage: stage.mark() for stage in stages}
        for _ in range(40):
            for stage in stages:
                assert "postgres: " in why_not_ready(stage), stage.log_tail()
            time.sleep(0.05)
        for stage, mark in tries.items():
            assert not stage.logs("peer_back", since=mark)
        old, line.postgres = line.postgres, standby
        line._disconnect()
        standby.promote()
        settle(line)
        prove(line, emitter.oracle)
        for stage in stages:
            stage.wait_ready(20)
        line.postgres = old
        line._disconnect()


REASONS = ["53100", "57014", "55P03", "40001", "53300", "58030", "23505", "42501", "XX000"]


@pytest.mark.parametrize("sqlstate", REASONS)
def test_what_is_not_the_datas_fault_rejects_no_event_and_fails_no_webhook(line, sqlstate):
    refuse = "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {}; END $$"
    line.sql(refuse.format(f"RAISE SQLSTATE '{sqlstate}'"))
    for table in ("usage_batches", "billing_customers"):
        line.sql(f"CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW "
                 "EXECUTE FUNCTION refuse()")
    emitter = Emitter(line)
    aggregator = start(line)
    webhookd = line.start_webhookd(STRIPE_SECRET_KEY=None).wait_ready()
    deliver(webhookd, Events().make("customer.created", customer()))
    emitter.add_all(emitter.usage(100))
    kept = line.client().xlen(STREAM)
    if sqlstate != "53300":
        failure = aggregator.wait_log("stream_step_failed", timeout=20)
        assert failure["sqlstate"] == sqlstate
    # More tries than a webhook has whose own data are refused.
    line.sql("UPDATE webhook_events SET attempts = 20, next_attempt_at = now()")
    line.wait_for(lambda: line.value("SELECT attempts FROM webhook_events") > 20
                  or sqlstate == "53300", 20, "it is tried again")
    assert line.client().xlen(STREAM) == kept and reasons(line) == {}
    assert not aggregator.logs("batch_refused")
    assert line.value("SELECT state FROM webhook_events") == "received"
    line.sql(refuse.format("RETURN NEW"))  # To drop a trigger takes locks that a stage may hold.
    line.sql("UPDATE webhook_events SET next_attempt_at = now()")
    settle(line)
    prove(line, emitter.oracle)
    line.wait_for(lambda: line.value("SELECT state FROM webhook_events") == "processed", 30,
                  "the webhook is worked")


def test_a_number_of_batches_set_back_by_somebody_stops_the_stream_and_keeps_its_entries(line):
    emitter = Emitter(line)
    aggregator = start(line)
    for seed in range(3):
        emitter.add_all(emitter.usage(10, seed=seed))
        settle(line)
    aggregator.term()
    before = position(line).counted
    line.sql("SELECT setval('usage_batch', 1, false)")
    emitter.add_all(emitter.usage(73, seed=9))
    aggregator = start(line)
    failure = aggregator.wait_log("stream_step_failed", timeout=20)
    assert failure["sqlstate"] == "23505"
    assert position(line).counted == before and reasons(line) == {}
    line.sql("SELECT setval('usage_batch', 1000)")
    settle(line)
    prove(line, emitter.oracle)
    assert_balanced(line)
