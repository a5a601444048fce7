"""pgbouncer in transaction mode between the stages and PostgreSQL, with fewer connections to the
server than the stages open to it: each transaction may come to another session."""

import time

import psycopg2
import pytest

from line import Pgbouncer
from line.line import TEST_WEBHOOK_SECRET
from support.outbox import add_message

pytestmark = pytest.mark.own_servers

TENANTS = ["acme", "beta", "gamma", "delta"]
METRICS = ["api_calls", "llm_tokens"]
POOL = 4
SESSION = ("SELECT current_user, session_user, current_setting('search_path'), "
           "current_setting('synchronous_commit'), current_setting('statement_timeout')")


@pytest.fixture(name="pooled")
def pooled_fixture(line):
    """The line with a pool of POOL connections, all stages' settings and meterctl's through it."""
    pooler = Pgbouncer(line.folder, line.postgres, users=("postgres", "app"),
                       default_pool_size=POOL)
    # Defaults that are none of ours: what a transaction relies on it must say itself.
    line.sql("CREATE ROLE app LOGIN")
    line.sql("ALTER ROLE app SET search_path = pg_catalog")
    line.sql("ALTER ROLE app SET synchronous_commit = off")
    line.sql("GRANT meterline_aggregator, meterline_sink, meterline_webhookd, meterline_notifier, meterline_ctl TO app")
    pooler.start()
    line.settings["DATABASE_URL"] = pooler.url_of("app")
    line.pooler = pooler
    yield line
    for stage in line.stages:
        stage.close()
    pooler.close()


def server_connections(line):
    return line.value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'")


def client_connections(line):
    return sum(row["user"] == "app" for row in line.pooler.show("CLIENTS"))


def start_all(line):
    line.start_sandbox(rate_per_s=0)
    line.start_aggregator(AGGREGATOR_FLUSH_MS=50).wait_ready()
    webhookd = line.start_webhookd().wait_ready()
    line.sandbox.webhook(webhookd.webhook_url, secret=TEST_WEBHOOK_SECRET)
    line.sandbox.bootstrap(
        meters=[{"event_name": metric, "formula": "sum"} for metric in METRICS], tenants=TENANTS,
        price_lookup_key="standard")
    line.wait_for(lambda: line.value("SELECT count(*) FROM subscriptions") == len(TENANTS), 30,
                  "webhookd knows the subscriptions")
    line.start_sink(SINK_INTERVAL_S=1, SINK_RATE_PER_S=500).wait_ready()


def emit(line, rounds):
    for number in range(rounds):
        for tenant in TENANTS:
            for metric in METRICS:
                for _ in range(2):
                    line.xadd(tenant=tenant, metric=metric, quantity="3", id=f"{metric}-{number}")


def test_the_whole_line_counts_and_bills_once_through_a_small_pool(pooled):
    line = pooled
    start_all(line)
    emit(line, 50)
    line.wait_for(lambda: all(int(line.sandbox.total(tenant, metric) or 0) == 150
                              for tenant in TENANTS for metric in METRICS), 60,
                  "Stripe holds all usage")
    assert client_connections(line) > POOL, "the stages hold more connections than there are"
    assert server_connections(line) <= POOL
    audit = line.audit()
    assert audit.ok, audit.text
    assert audit.total("counted") == 50 * len(TENANTS) * len(METRICS)
    assert audit.total("duplicates") == audit.total("counted")
    assert line.sandbox.violations() == 0
    status = line.must("meterctl", "status")
    assert "usage:events" in status.stdout
    line.wait_for(lambda: line.client().hget("quota:{acme}", "api_calls.used") == "150", 20,
                  "the quota cache is fresh")
    # A restart reads the deduplication window back row by row, and knows every event again.
    line.stages[0].term()
    emit(line, 50)
    line.start_aggregator(AGGREGATOR_FLUSH_MS=50).wait_ready()
    line.wait_for(lambda: line.audit().total("duplicates")
                  == 3 * 50 * len(TENANTS) * len(METRICS), 30, "all are duplicates")
    assert line.audit().ok


def test_nothing_of_ours_stays_in_a_session_of_the_pool(pooled):
    """Whoever gets a connection after us finds it as if we had never been there."""
    line = pooled
    start_all(line)
    emit(line, 5)
    line.wait_for(lambda: line.audit().total("waiting") == 0, 20, "all is counted")
    clean = ("app", "app", "pg_catalog", "off", "0")
    seen = set()
    clients = [line.pooler.connect("app") for _ in range(POOL)]
    for client in clients * 10:
        with client.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            cursor.execute(SESSION)
            seen.add(tuple(cursor.fetchone()))
    for client in clients:
        client.close()
    assert seen == {clean}
    locks = line.value("SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
                       "WHERE l.locktype = 'advisory' AND a.state = 'idle'")
    assert locks == 0
    assert line.value("SELECT count(*) FROM pg_class WHERE relpersistence = 't'") == 0


def test_a_message_is_told_within_a_second_though_nobody_can_listen(pooled):
    """LISTEN would be left in a session of the pool, and its NOTIFY told to whoever has it then."""
    line = pooled
    line.start_notifier().wait_ready()
    waits = []
    for number in range(6):
        begun = time.monotonic()
        add_message(line, "payment_failed", str(number), "acme", {})
        line.wait_for(lambda: line.client().xlen("billing:signals") == number + 1, 20, "the signal is there")
        waits.append(time.monotonic() - begun)
    assert sorted(waits)[len(waits) // 2] < 1, waits
    clients = [line.pooler.connect("app") for _ in range(POOL)]
    for client in clients * 5:
        with client.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_listening_channels()")
            assert cursor.fetchone()[0] == 0
    for client in clients:
        client.close()


def test_every_transaction_has_its_role(pooled):
    """Even where the login could do all: what the role may not do is refused, and done once it may."""
    line = pooled
    line.settings["DATABASE_URL"] = line.pooler.url
    aggregator = line.start_aggregator(AGGREGATOR_FLUSH_MS=50)
    aggregator.wait_ready()
    aggregator.wait_log("stream_opened")
    line.sql("REVOKE UPDATE ON stream_positions FROM meterline_aggregator")
    line.xadd(tenant="acme", metric="api_calls", id="one")
    refused = aggregator.wait_log("stream_step_failed")
    assert refused["sqlstate"] == "42501"
    assert "stream_positions" in refused["msg"]
    assert line.value("SELECT sum(counted) FROM stream_positions") == 0
    line.sql("GRANT UPDATE ON stream_positions TO meterline_aggregator")
    line.wait_for(lambda: line.value("SELECT sum(counted) FROM stream_positions") == 1, 20,
                  "counted")
    line.sql("REVOKE SELECT ON rejected_events FROM meterline_ctl")
    assert "permission denied" in line.audit().text
    line.sql("GRANT SELECT ON rejected_events TO meterline_ctl")
    assert line.audit().ok


def test_a_pooler_that_goes_away_is_a_state(pooled):
    line = pooled
    aggregator = line.start_aggregator(AGGREGATOR_FLUSH_MS=50)
    aggregator.wait_ready()
    line.xadd(tenant="acme", metric="api_calls", id="one")
    line.wait_for(lambda: line.audit().total("counted") == 1, 20, "counted")
    line.pooler.kill()
    aggregator.wait_log("peer_lost")
    line.xadd(tenant="acme", metric="api_calls", id="two")
    line.pooler.start()
    aggregator.wait_log("peer_back")
    line.wait_for(lambda: line.audit().total("counted") == 2, 30, "counted")
    assert line.audit().ok


def test_the_poolers_own_words_tell_why_postgresql_is_lost(line):
    """It takes clients while its server is away, says an ERROR to each and closes: what it said is told, and told at once,
    not a minute after the first cause."""
    pooler = Pgbouncer(line.folder, line.postgres, query_wait_timeout=2, server_login_retry=1)
    pooler.start()
    try:
        aggregator = line.start_aggregator(AGGREGATOR_FLUSH_MS=50, DATABASE_URL=pooler.url)
        aggregator.wait_ready()
        line.postgres.stop()
        line.wait_for(lambda: any("query_wait_timeout" in lost["msg"] or "server login" in lost["msg"]
                                  for lost in aggregator.logs("peer_lost")), 40, "the pooler's words are logged")
        line.wait_for(lambda: any(word in aggregator.get("/readyz")[1]
                                  for word in ("query_wait_timeout", "server login")), 40, "readiness tells them")
        told = line.run("meterctl", "quota", "show", DATABASE_URL=pooler.url)
        assert told.returncode == 1
        assert told.stderr.startswith("meterctl: postgres: ")
        assert any(word in told.stderr for word in ("query_wait_timeout", "server login")), told.stderr
        line.postgres.start()
        aggregator.wait_log("peer_back")
    finally:
        pooler.close()


def test_migrations_run_through_the_pooler(line):
    pooler = Pgbouncer(line.folder, line.postgres, default_pool_size=1)
    pooler.start()
    try:
        line.sql("CREATE DATABASE fresh")
        url = pooler.url_of("postgres", "fresh")
        done = line.run("meterctl", "migrate", DATABASE_URL=url)
        assert done.returncode == 0, done.stderr
        again = line.run("meterctl", "migrate", DATABASE_URL=url)
        assert again.returncode == 0 and "is applied already" in again.stdout
    finally:
        pooler.close()
    with pytest.raises(psycopg2.OperationalError):
        pooler.connect()
