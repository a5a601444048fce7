"""Setting up as the README says, by a login that may make roles and is no superuser."""

import contextlib

import pytest

from line.line import Line
from support.ledger_proof import Emitter, assert_balanced, prove, settle


@pytest.fixture(name="empty")
def empty_fixture(folder):
    """A line whose PostgreSQL has the login and its empty database, and nothing of ours."""
    line = Line(folder).start_servers()
    yield line
    line.close()


def say(line, statement, database="postgres", user="postgres"):
    with contextlib.closing(line.postgres.connect(line.postgres.url_of(user, database))) as admin:
        admin.cursor().execute(statement)


def has_set_option(line):
    return line.value("SELECT current_setting('server_version_num')::int >= 160000")


def test_a_login_with_createrole_migrates_and_is_every_stage(empty):
    line = empty
    say(line, "CREATE ROLE app LOGIN CREATEROLE")
    say(line, "CREATE DATABASE theirs OWNER app ENCODING 'UTF8' TEMPLATE template0")
    line.settings["DATABASE_URL"] = line.postgres.url_of("app", "theirs")
    line.migrate()
    line.migrate()
    line.catalog()
    line._connection = line.postgres.connect(line.postgres.url_of("postgres", "theirs"))
    aggregator = line.start_aggregator().wait_ready()
    webhookd = line.start_webhookd(STRIPE_SECRET_KEY=None).wait_ready()
    sandbox = line.start_sandbox(rate_per_s=0)
    sandbox.bootstrap(tenants=["t1"])
    sink = line.start_sink(SINK_INTERVAL_S=1).wait_ready()
    emitter = Emitter(line)
    emitter.add_all(emitter.usage(100, repeats=0.1))
    settle(line)
    prove(line, emitter.oracle)
    assert_balanced(line)
    for command in (["status"], ["rebuild", "--check"], ["rejected", "list"], ["retention", "apply", "--dry-run"]):
        line.must("meterctl", *command)
    # And that login gives each stage a login of its own.
    own = line.postgres.url_of("app", "theirs")
    with contextlib.closing(line.postgres.connect(own)) as operator:
        operator.cursor().execute("CREATE ROLE counts LOGIN")
        operator.cursor().execute("GRANT meterline_aggregator TO counts")
    done = line.meterctl("migrate", DATABASE_URL=line.postgres.url_of("counts", "theirs"))
    assert done.returncode == 1 and "run it as the login that migrated first" in done.stderr, done.stderr
    aggregator.term()
    aggregator = line.start_aggregator(DATABASE_URL=line.postgres.url_of("counts", "theirs"))
    aggregator.wait_ready()
    for stage in (aggregator, webhookd, sink):
        assert not stage.logs("peer_lost") and not stage.logs("stream_step_failed")


def test_a_second_login_is_told_whose_roles_they_are(empty):
    line = empty
    for login in ("first", "second"):
        say(line, f"CREATE ROLE {login} LOGIN CREATEROLE")
        say(line, f"CREATE DATABASE of_{login} OWNER {login}")
    line.settings["DATABASE_URL"] = line.postgres.url_of("first", "of_first")
    line.migrate()
    line.settings["DATABASE_URL"] = line.postgres.url_of("second", "of_second")
    line._connection = line.postgres.connect(line.postgres.url_of("postgres", "postgres"))
    if has_set_option(line):
        done = line.meterctl("migrate")
        assert done.returncode == 1 and "made by another login" in done.stderr
        say(line, "GRANT meterline_aggregator, meterline_sink, meterline_webhookd, meterline_notifier, meterline_api, "
                  "meterline_ctl TO second WITH ADMIN OPTION")
    line.migrate()
    line.catalog()
    line.start_aggregator().wait_ready()


def test_a_database_that_is_not_utf8_is_refused_in_one_line(empty):
    line = empty
    say(line, "CREATE DATABASE old ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    line.settings["DATABASE_URL"] = line.postgres.url_of("postgres", "old")
    done = line.meterctl("migrate")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "the database old has the encoding LATIN1, and meterline needs UTF8" in done.stderr
    line._connection = line.postgres.connect(line.postgres.url_of("postgres", "old"))
    assert line.value("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
