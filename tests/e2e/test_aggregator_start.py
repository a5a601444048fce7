"""What must be right before anything is counted, and what is said where it is not."""

import pytest

from support.aggregator import start
from support.ledger_proof import Emitter, prove, settle

VOLATILE = [{"appendonly": "no"}, {"maxmemory-policy": "allkeys-lru"},
            {"maxmemory-policy": "volatile-ttl"}]


def test_all_wrong_settings_are_named_at_once(line):
    wrong = {"REDIS_URL": "http://nowhere", "DATABASE_URL": None, "AGGREGATOR_BATCH_MAX": "0",
             "AGGREGATOR_FLUSH_MS": "soon", "DEDUPE_WINDOW_H": "-1", "DEDUPE_MEMORY_MB": "1e9",
             "STREAM_KEEP_S": "1.5", "METERLINE_ALLOW_VOLATILE_REDIS": "perhaps",
             "METERLINE_STREAM_SHARDS": "0", "OPS_LISTEN": "here", "LOG_FORMAT": "xml"}
    done = line.run("aggregator", **wrong)
    assert done.returncode == 2
    for name in wrong:
        assert name in done.stderr, name
    done = line.run("aggregator", DATABASE_URL="postgresql://u:secret-word@[")
    assert done.returncode == 2 and "DATABASE_URL" in done.stderr
    assert "secret-word" not in done.stderr
    assert line.run("aggregator", "--twice").returncode == 2


def test_help_and_print_config_tell_every_setting_and_no_secret(line):
    told = line.must("aggregator", "--help").stdout
    printed = line.must("aggregator", "--print-config",
                        DATABASE_URL="postgresql://u:secret-word@h/d").stdout
    for name in ("REDIS_URL", "DATABASE_URL", "AGGREGATOR_BATCH_MAX", "AGGREGATOR_FLUSH_MS",
                 "DEDUPE_WINDOW_H", "DEDUPE_MEMORY_MB", "STREAM_KEEP_S", "OPS_LISTEN"):
        assert name in told and name in printed, name
    assert "secret-word" not in printed


@pytest.mark.own_servers
def test_a_volatile_redis_is_refused_unless_it_is_allowed(line):
    emitter = Emitter(line)
    emitter.add_all(emitter.usage(10))
    for conf in VOLATILE:
        client = line.client()
        for name, value in conf.items():
            client.config_set(name, value)
        done = line.run("aggregator", timeout=20)
        assert done.returncode == 1 and "event=redis_unfit" in done.stderr
        assert "METERLINE_ALLOW_VOLATILE_REDIS" in done.stderr
        allowed = line.must("aggregator", "--once", METERLINE_ALLOW_VOLATILE_REDIS="1")
        assert "event=redis_volatile" in allowed.stderr
        client.config_set("appendonly", "yes")
        client.config_set("maxmemory-policy", "noeviction")
    prove(line, emitter.oracle)


@pytest.mark.own_servers
@pytest.mark.parametrize("conf", VOLATILE, ids=lambda conf: " ".join(*conf.items()))
def test_a_redis_that_becomes_volatile_while_it_counts_is_told_until_it_is_set_right(line, conf):
    aggregator = start(line)
    aggregator.wait_log("stream_opened")
    ((name, value),) = conf.items()
    right = {"appendonly": "yes", "maxmemory-policy": "noeviction"}[name]
    line.client().config_set(name, value)
    told = aggregator.wait_log("redis_volatile", level="error", timeout=20)
    assert f"set {name} {right}" in told["msg"]
    line.wait_for(lambda: not aggregator.ready(), 20, "it is not ready")
    assert f"set {name} {right}" in aggregator.get("/readyz")[1]
    emitter = Emitter(line)
    emitter.add_all(emitter.usage(10))
    settle(line)  # What waits there would only be in more danger.
    line.client().config_set(name, right)
    aggregator.wait_log("redis_durable", timeout=20)
    line.wait_for(aggregator.ready, 20, "it is ready again")
    prove(line, emitter.oracle)


@pytest.mark.own_servers
def test_where_config_is_forbidden_it_warns_and_counts(line):
    line.client().acl_setuser("meter", enabled=True, passwords=["+pw"], keys=["*"],
                              commands=["+@all", "-config"])
    emitter = Emitter(line)
    emitter.add_all(emitter.usage(10))
    done = line.must("aggregator", "--once",
                     REDIS_URL=f"redis://meter:pw@127.0.0.1:{line.redis.port}")
    assert "event=redis_durability_unknown" in done.stderr
    prove(line, emitter.oracle)


def test_another_number_of_shards_than_the_databases_is_refused(line):
    line.xadd(tenant="a", metric="api_calls")
    done = line.run("aggregator", METERLINE_STREAM_SHARDS="3", timeout=20)
    assert done.returncode == 2 and "METERLINE_STREAM_SHARDS" in done.stderr
    line.must("aggregator", "--once")


@pytest.mark.parametrize("missing", ["all of it", "the newest"])
def test_a_schema_that_is_not_there_yet_is_waited_for(line, missing):
    if missing == "all of it":
        line.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    else:
        line.sql("CREATE TABLE later AS SELECT * FROM schema_migrations ORDER BY version DESC"
                 " LIMIT 1; DELETE FROM schema_migrations"
                 " WHERE version = (SELECT version FROM later)")
    emitter = Emitter(line)
    emitter.add_all(emitter.usage(10))
    aggregator = start(line)
    aggregator.wait_log("schema_waited")
    status, why = aggregator.get("/readyz")
    assert status == 503 and "schema" in why
    if missing == "all of it":
        line.migrate()
        line.catalog()
    else:
        line.sql("INSERT INTO schema_migrations SELECT * FROM later")
    aggregator.wait_ready()
    settle(line)
    prove(line, emitter.oracle)


def test_a_newer_schema_ends_it_unless_it_is_marked_compatible(line):
    columns = {row.column_name for row in line.sql(
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_name = 'schema_migrations'")}
    others = ", ".join(sorted(columns - {"version", "compatible_from"}))
    line.sql(f"""INSERT INTO schema_migrations (version, compatible_from, {others})
                 SELECT version + 1, version + 1, {others} FROM schema_migrations
                  ORDER BY version DESC LIMIT 1""")
    done = line.run("aggregator", timeout=20)
    assert done.returncode == 1 and "event=schema_refused" in done.stderr
    line.sql("UPDATE schema_migrations SET compatible_from = 1"
             " WHERE version = (SELECT max(version) FROM schema_migrations)")
    line.must("aggregator", "--once")


@pytest.mark.own_servers
def test_it_starts_before_its_peers_and_waits_for_them(line):
    line.postgres.stop()
    line.redis.stop()
    aggregator = start(line)
    for peer in ("redis", "postgres"):
        aggregator.wait_log("peer_lost", peer=peer)
    assert aggregator.get("/readyz")[0] == 503 and aggregator.get("/healthz")[0] == 200
    line.redis.start()
    line.postgres.start()
    emitter = Emitter(line)
    emitter.add_all(emitter.usage(10))
    aggregator.wait_ready()
    settle(line)
    prove(line, emitter.oracle)
    aggregator.term()
