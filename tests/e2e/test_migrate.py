"""meterctl migrate: one transaction that brings migrations and functions to this build's."""

import concurrent.futures
import os
import subprocess

import pytest

from line import Line
from line.paths import ROOT

MIGRATIONS = sorted((ROOT / "deploy" / "migrations").glob("*.sql"))
FUNCTIONS = sorted(path.stem for path in (ROOT / "deploy" / "functions").glob("*.sql"))
IN_DATABASE = """SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
                  ORDER BY p.proname COLLATE "C" """


@pytest.fixture
def bare(folder):
    """A server without a schema."""
    own = Line(folder)
    try:
        own.postgres.start()
        yield own
    finally:
        own.close()


def names(line, query):
    return [row[0] for row in line.sql(query)]


def body_of(line, name):
    return line.value(f"SELECT coalesce(prosrc, '') || coalesce(pg_get_function_sqlbody(oid), '') FROM pg_proc"
                      f" WHERE pronamespace = 'public'::regnamespace AND proname = '{name}'")


def access_of(line, name):
    """Who may call it, PUBLIC as ''."""
    return names(line, f"""SELECT coalesce(r.rolname, '') FROM pg_proc p
                             CROSS JOIN aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
                              LEFT JOIN pg_roles r ON r.oid = a.grantee
                            WHERE p.pronamespace = 'public'::regnamespace AND p.proname = '{name}'
                            ORDER BY 1""")


def change(line, name, statement):
    """As if another build had been here: the function is another one, and so is its text."""
    line.sql(statement)
    line.sql(f"UPDATE schema_functions SET checksum = 'other' WHERE name = '{name}'")


def test_migrate_twice_gives_the_same(bare):
    first = bare.migrate()
    second = bare.migrate()
    lines = first.stdout.splitlines()
    assert [line.split(":")[0] for line in lines[:len(MIGRATIONS)]] == [path.stem for path in MIGRATIONS]
    assert all(" … applied in " in line for line in lines[:len(MIGRATIONS)])
    assert lines[len(MIGRATIONS)] == f"functions created: {len(FUNCTIONS)}"
    assert second.stdout.count(" is applied already\n") == len(MIGRATIONS)
    assert f"functions are up to date: {len(FUNCTIONS)}\n" in second.stdout
    assert bare.value("SELECT count(*) FROM schema_migrations") == len(MIGRATIONS)
    assert names(bare, IN_DATABASE) == FUNCTIONS


def test_migrate_says_what_each_step_does(bare):
    said = bare.migrate().stdout
    assert "0001_catalog: The catalog: what is metered, and what plans allow and charge … applied in " in said


def test_migrate_from_many_at_once(bare):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(bare.meterctl, "migrate") for _ in range(4)]
        done = [run.result() for run in runs]
    assert [run.returncode for run in done] == [0] * 4, [run.stderr for run in done]
    assert sum(run.stdout.count(" … applied in ") for run in done) == len(MIGRATIONS)
    assert sum(run.stdout.count("functions created: ") for run in done) == 1


def test_a_migration_that_changed_is_named(bare):
    bare.migrate()
    bare.sql("UPDATE schema_migrations SET checksum = 'other' WHERE version = 2")
    for args in (["migrate"], ["migrate", "--dry-run"]):
        done = bare.meterctl(*args)
        assert done.returncode == 1
        assert "0002_ledger" in done.stderr and "changed" in done.stderr


def test_a_failure_leaves_nothing_behind(bare):
    bare.sql("CREATE TABLE usage_drift (mine text)")   # of a late migration
    done = bare.meterctl("migrate")
    assert done.returncode == 1 and "migration 0007_reconcile" in done.stderr
    assert names(bare, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == ["usage_drift"]
    assert names(bare, IN_DATABASE) == []
    bare.sql("DROP TABLE usage_drift")
    bare.migrate()


def test_the_schema_of_a_newer_build(bare):
    bare.migrate()
    bare.sql("INSERT INTO schema_migrations (version, name, checksum, compatible_from) VALUES (1000, 'future', '', 1)")
    change(bare, "payment_grace", "CREATE OR REPLACE FUNCTION payment_grace() RETURNS interval IMMUTABLE LANGUAGE sql"
                                  " RETURN interval '9 days'")
    done = bare.migrate()
    assert "functions are left to the newer build" in done.stdout and "schema version 1000" in done.stdout
    assert "9 days" in body_of(bare, "payment_grace")
    bare.sql("UPDATE schema_migrations SET compatible_from = 1000 WHERE version = 1000")
    for args in (["migrate"], ["migrate", "--dry-run"]):
        done = bare.meterctl(*args)
        assert done.returncode == 1 and "too new" in done.stderr


# what would be done

def test_dry_run_says_what_it_would_do_and_does_nothing(bare):
    said = bare.must("meterctl", "migrate", "--dry-run").stdout
    for path in MIGRATIONS:
        assert f"{path.stem} to apply: " in said
    assert f"functions to create: {len(FUNCTIONS)}\n" in said
    assert f"nothing was changed: the schema is at version 0, and {len(MIGRATIONS)} after `meterctl migrate`\n" in said
    assert names(bare, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == []
    assert names(bare, IN_DATABASE) == []

    bare.migrate()
    said = bare.must("meterctl", "migrate", "--dry-run").stdout
    assert "to apply" not in said and f"nothing to do: schema version {len(MIGRATIONS)}\n" in said

    change(bare, "payment_grace", "DROP FUNCTION is_subscriber")
    bare.sql("CREATE FUNCTION gone() RETURNS integer LANGUAGE sql RETURN 1")
    bare.sql("INSERT INTO schema_functions (name, checksum) VALUES ('gone', 'any')")
    said = bare.must("meterctl", "migrate", "--dry-run").stdout
    assert "functions to replace: 2: is_subscriber, payment_grace\n" in said
    assert "functions to drop: 1: gone\n" in said
    assert "gone" in names(bare, IN_DATABASE) and "is_subscriber" not in names(bare, IN_DATABASE)


# functions

def test_a_function_whose_text_changed_is_replaced_with_its_access(bare):
    bare.migrate()
    right = body_of(bare, "sink_hold"), access_of(bare, "hold_sinks"), access_of(bare, "sink_hold")
    assert right[1] == ["meterline_aggregator", "meterline_ctl", "meterline_sink", "postgres"]
    assert right[2] == ["", "postgres"]
    change(bare, "sink_hold", "CREATE OR REPLACE FUNCTION sink_hold() RETURNS bigint LANGUAGE sql RETURN 7;"
                              "REVOKE ALL ON FUNCTION sink_hold FROM PUBLIC;"
                              "GRANT EXECUTE ON FUNCTION sink_hold TO meterline_tenant")
    change(bare, "hold_sinks", "GRANT EXECUTE ON FUNCTION hold_sinks TO meterline_tenant, PUBLIC;"
                               "REVOKE ALL ON FUNCTION hold_sinks FROM meterline_sink")
    said = bare.migrate().stdout
    assert "functions replaced: 2: hold_sinks, sink_hold\n" in said
    assert (body_of(bare, "sink_hold"), access_of(bare, "hold_sinks"), access_of(bare, "sink_hold")) == right
    assert "functions are up to date" in bare.migrate().stdout


def test_what_somebody_granted_to_others_stays(bare):
    bare.migrate()
    bare.sql("CREATE ROLE reporting")
    change(bare, "fold_usage", "GRANT EXECUTE ON FUNCTION fold_usage TO reporting")
    bare.migrate()
    assert access_of(bare, "fold_usage") == ["meterline_aggregator", "postgres", "reporting"]


def test_functions_that_are_no_more_are_dropped_and_missing_ones_come_back(bare):
    bare.migrate()
    # One is part of the other.
    bare.sql("CREATE FUNCTION a_gone() RETURNS integer LANGUAGE sql RETURN 1;"
             "CREATE FUNCTION b_gone() RETURNS integer LANGUAGE sql RETURN a_gone();"
             "INSERT INTO schema_functions (name, checksum) VALUES ('a_gone', 'any'), ('b_gone', 'any')")
    bare.sql("DROP FUNCTION why_late")
    bare.sql("CREATE FUNCTION of_the_operator() RETURNS integer LANGUAGE sql RETURN 1")
    said = bare.migrate().stdout
    assert "functions replaced: 1: why_late\n" in said and "functions dropped: 2: a_gone, b_gone\n" in said
    assert names(bare, IN_DATABASE) == sorted([*FUNCTIONS, "of_the_operator"])
    assert names(bare, "SELECT name FROM schema_functions ORDER BY name") == FUNCTIONS


def test_another_signature_is_not_guessed_at(bare):
    bare.migrate()
    change(bare, "is_subscriber", "DROP FUNCTION is_subscriber;"
                                  "CREATE FUNCTION is_subscriber(p_tenant text) RETURNS text LANGUAGE sql RETURN 'x'")
    done = bare.meterctl("migrate")
    assert done.returncode == 1
    assert "function is_subscriber (it has new parameters or another result: a migration must drop the old one first)" in done.stderr
    change(bare, "is_subscriber", "DROP FUNCTION is_subscriber;"
                                  "CREATE FUNCTION is_subscriber(a integer) RETURNS boolean LANGUAGE sql RETURN true")
    done = bare.meterctl("migrate")
    assert done.returncode == 1 and "a migration must drop the old one" in done.stderr
    bare.sql("DROP FUNCTION is_subscriber")
    bare.migrate()


def test_doctor_tells_of_functions_of_another_build(bare):
    bare.migrate()
    bare.sql("UPDATE schema_functions SET checksum = 'other' WHERE name IN ('fold_usage', 'why_late')")
    assert "2 functions differ from this build's: run `meterctl migrate`" in bare.meterctl("doctor").stdout
    bare.migrate()
    assert "functions differ" not in bare.meterctl("doctor").stdout


# the list of them in the build

def embed(folder, **texts):
    for name, text in texts.items():
        (folder / f"{name}.sql").write_text(text)
    return subprocess.run([ROOT / "ctl" / "migrate" / "embed_functions", *sorted(folder.glob("*.sql"))], capture_output=True,
                          text=True, check=False)


def function(name, calls=""):
    return (f"CREATE OR REPLACE FUNCTION {name}() RETURNS integer LANGUAGE sql AS $$ SELECT 1 {calls} $$;\n"
            f"COMMENT ON FUNCTION {name} IS 'One.';\n")


def test_callers_follow_what_they_call(tmp_path):
    done = embed(tmp_path, a=function("a", "+ b() -- c()\n"), b=function("b", "+ c()"), c=function("c"))
    assert done.returncode == 0, done.stderr
    assert [line.split('"')[1] for line in done.stdout.splitlines() if line.startswith('    {"')] == ["c", "b", "a"]


@pytest.mark.parametrize("texts, told", [
    ({"a": function("a", "+ b()"), "b": function("b", "+ a()")}, "circle"),
    ({"a": function("b")}, "must create one function of its own name"),
    ({"a": function("a") + function("b")}, "must create one function of its own name"),
    ({"a": function("a").split("COMMENT", maxsplit=1)[0]}, "COMMENT ON FUNCTION a"),
], ids=["circle", "other name", "two", "no comment"])
def test_a_file_that_cannot_be_is_refused(tmp_path, texts, told):
    done = embed(tmp_path, **texts)
    assert done.returncode != 0 and told in done.stderr


# frozen migrations

def freeze(folder, *args):
    return subprocess.run([ROOT / "deploy" / "freeze_migrations", *args], env={**os.environ, "FREEZE_IN": str(folder)},
                          capture_output=True, text=True, check=False)


def test_migrations_are_as_they_were_frozen():
    done = freeze(ROOT / "deploy", "--check")
    assert done.returncode == 0, done.stdout


def test_a_migration_that_differs_from_its_frozen_text_is_told(tmp_path):
    (tmp_path / "migrations").mkdir()
    for name in ("0001_a", "0002_b", "0003_c"):
        (tmp_path / "migrations" / f"{name}.sql").write_text(f"-- {name}\n")
    assert freeze(tmp_path).returncode == 0 and freeze(tmp_path, "--check").returncode == 0
    (tmp_path / "migrations" / "0001_a.sql").write_text("-- other\n")
    (tmp_path / "migrations" / "0002_b.sql").unlink()
    (tmp_path / "migrations" / "0004_d.sql").write_text("-- new\n")
    done = freeze(tmp_path, "--check")
    assert done.returncode == 1
    assert "deploy/migrations/0001_a.sql: was changed after it was frozen" in done.stdout
    assert "deploy/migrations/0002_b.sql: was frozen and is gone" in done.stdout
    assert "deploy/migrations/0004_d.sql: is not frozen yet" in done.stdout
    assert "0003_c" not in done.stdout
    assert freeze(tmp_path).returncode == 0 and freeze(tmp_path, "--check").returncode == 0
