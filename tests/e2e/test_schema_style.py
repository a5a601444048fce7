"""The schema as it stands once migrated: it explains itself, keys compare by bytes, and functions are closed."""

import contextlib
import json
import re
import subprocess

import psycopg2
import pytest

from line import Line
from line.paths import CATALOG, ROOT

COMMENTED = """
SELECT 'relation ' || c.relname FROM pg_class c
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S') AND NOT c.relispartition
   AND obj_description(c.oid, 'pg_class') IS NULL
   -- A sequence of an identity column is the column's.
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'i')
UNION ALL
SELECT 'type ' || t.typname FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid AND c.relkind = 'c'
 WHERE t.typnamespace = 'public'::regnamespace AND obj_description(t.oid, 'pg_type') IS NULL
UNION ALL
SELECT 'column ' || c.relname || '.' || a.attname FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'c') AND NOT c.relispartition
   AND col_description(c.oid, a.attnum) IS NULL
UNION ALL
SELECT 'function ' || p.oid::regprocedure FROM pg_proc p
 WHERE p.pronamespace = 'public'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL
"""


@pytest.fixture(scope="module", name="migrated")
def migrated_fixture(tmp_path_factory):
    own = Line(tmp_path_factory.mktemp("schema"))
    try:
        own.postgres.start()
        own.migrate()
        yield own
    finally:
        own.close()


def found(line, query):
    return [row[0] for row in line.sql(query)]


def test_everything_says_what_it_is(migrated):
    assert found(migrated, COMMENTED) == []


def test_the_question_for_comments_finds_what_has_none(migrated):
    migrated.sql("CREATE TABLE bare (a integer GENERATED ALWAYS AS IDENTITY);"
                 "CREATE TYPE bare_type AS (b text);"
                 "CREATE FUNCTION bare_function() RETURNS integer LANGUAGE sql RETURN 1")
    try:
        assert sorted(found(migrated, COMMENTED)) == [
            "column bare.a", "column bare_type.b", "function bare_function()", "relation bare", "type bare_type"]
    finally:
        migrated.sql("DROP TABLE bare; DROP TYPE bare_type; DROP FUNCTION bare_function")


def test_comments_are_short_sentences(migrated):
    texts = found(migrated, "SELECT description FROM pg_description d JOIN pg_class c ON c.oid = d.objoid"
                            " WHERE c.relnamespace = 'public'::regnamespace")
    assert len(texts) > 300
    assert [text for text in texts if len(text) > 160 or not text.endswith((".", "…"))] == []


def test_functions_with_their_owners_rights_are_not_for_everybody(migrated):
    assert found(migrated, """
        SELECT p.proname FROM pg_proc p
         CROSS JOIN aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
         WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef AND a.grantee = 0""") == []


@pytest.mark.parametrize("trigger", ["keep_plan_limit", "note_alert_check", "note_limit_change", "readdress_messages",
                                     "reclaim_values"])
def test_a_tenant_cannot_hang_our_triggers_on_a_table_of_its_own(migrated, trigger):
    """With the owner's rights they would write what the tenant may not, such as a higher limit of a plan's past."""
    with contextlib.closing(migrated.postgres.connect()) as conn, conn.cursor() as cursor:
        cursor.execute("SET ROLE meterline_tenant")
        cursor.execute("CREATE TEMP TABLE plan_limits (plan text, metric text, included numeric, cap text)")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("CREATE TRIGGER own BEFORE UPDATE ON plan_limits FOR EACH ROW"
                           f" EXECUTE FUNCTION public.{trigger}()")


# texts that are keys

KEYS = """
WITH texts AS (
    SELECT c.oid, c.relname, a.attnum, a.attname, a.attcollation = 'pg_catalog."C"'::regcollation AS by_bytes,
           EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND a.attnum = ANY (i.indkey)) AS is_key
      FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'c') AND NOT c.relispartition
       AND a.atttypid IN ('text'::regtype, 'text[]'::regtype)
)
SELECT relname || '.' || attname FROM texts
 WHERE NOT by_bytes AND (is_key OR attname IN (SELECT attname FROM texts WHERE is_key)
                         OR attname IN (SELECT attname || 's' FROM texts WHERE is_key))
"""
NAMES = ["B", "Z", "a", "a-1", "a_1", "aa", "b", "z", "ä", "Ä", "α", "日本"]


@pytest.fixture(scope="module", name="foreign")
def foreign_fixture(migrated):
    """A database that sorts as people do, not by bytes."""
    migrated.sql("CREATE DATABASE tongue ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
                 " LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    url = migrated.postgres.url_of("postgres", "tongue")
    migrated.must("meterctl", "migrate", DATABASE_URL=url)
    migrated.must("meterctl", "catalog", "apply", CATALOG, DATABASE_URL=url)
    with contextlib.closing(migrated.postgres.connect(url)) as connection:
        yield connection.cursor()


def run(cursor, statement):
    cursor.execute(statement)
    return cursor.fetchall() if cursor.description else []


def test_texts_that_are_keys_compare_by_their_bytes(migrated):
    assert found(migrated, KEYS) == []


def test_pages_go_by_bytes_whatever_the_database_sorts_by(foreign):
    assert run(foreign, "SELECT 'a' < 'B' AS here, 'a' COLLATE \"C\" < 'B' AS by_bytes")[0] == (True, False)
    in_order = sorted(NAMES, key=lambda name: name.encode())
    for tenant in reversed(NAMES):
        foreign.execute("INSERT INTO usage_totals (tenant, metric, period_start, period_end, quantity, version, last_ms,"
                        " last_entry) VALUES (%s, 'api_calls', '2026-01-01Z', '2026-02-01Z', 1, 1, 0, '')", (tenant,))
        foreign.execute("INSERT INTO usage_quotas (tenant, metric, cap) VALUES (%s, 'api_calls', 'none')", (tenant,))
    for name, pages in (("aggregator/sql/read_tenants", lambda rows: [row[0] for row in rows]),
                        ("webhookd/sql/list_tenants", lambda rows: json.loads(rows[0][0]))):
        foreign.execute(f"PREPARE page (text, bigint) AS {(ROOT / f'{name}.sql').read_text(encoding='utf-8')}")
        seen, last = [], ""
        while page := pages(run(foreign, foreign.mogrify("EXECUTE page (%s, 5)", (last,)))):
            seen += page
            last = page[-1]
        foreign.execute("DEALLOCATE page")
        assert seen == in_order, name


SINGLE = sorted(path for stage in ("common", "aggregator", "sink", "webhookd", "ctl")
                for path in (ROOT / stage).rglob("*.sql"))


def test_statements_fit_a_database_that_sorts_otherwise(foreign):
    """Two collations that meet are an error only when the statement is prepared."""
    temporary = ";".join(path.read_text(encoding="utf-8") for path in SINGLE if path.stem.startswith("rebuild_create_"))
    wrong = {}
    for path in SINGLE:
        text = path.read_text(encoding="utf-8")
        if re.search("^CREATE (TEMPORARY )?TABLE", text, re.MULTILINE):
            continue
        foreign.execute(f"BEGIN; {temporary}")
        try:
            foreign.execute(f"PREPARE statement AS {text}")
            foreign.execute("DEALLOCATE statement")
        except psycopg2.Error as error:
            wrong[path.name] = str(error).splitlines()[0]
        foreign.execute("ROLLBACK")
    assert wrong == {}


# how it is written

@pytest.mark.parametrize("text, capitals", [
    ("select a.end as last, left(b, 1) from t left join u on true",
     "SELECT a.end AS last, left(b, 1) FROM t LEFT JOIN u ON true"),
    ("-- select\nselect 'from', \"order\", e'\\' or' /* and */",
     "-- select\nSELECT 'from', \"order\", e'\\' or' /* and */"),
    ("insert into t values (1) on conflict (conflict) do nothing returning key",
     "INSERT INTO t VALUES (1) ON CONFLICT (conflict) DO NOTHING RETURNING key"),
    ("create function f() returns trigger set jit = on as $$ begin return null; end $$",
     "CREATE FUNCTION f() RETURNS trigger SET jit = on AS $$ BEGIN RETURN NULL; END $$"),
    ("select max(at) filter (where x) over w at time zone 'utc' order by 1 desc nulls last",
     "SELECT max(at) FILTER (WHERE x) OVER w AT TIME ZONE 'utc' ORDER BY 1 DESC NULLS LAST"),
], ids=["names", "quoted", "conflict", "function", "context"])
def test_keywords_are_put_in_capitals_and_names_are_not(tmp_path, text, capitals):
    path = tmp_path / "a.sql"
    path.write_text(text)
    command = [ROOT / "tests" / "sql_keywords"]
    assert subprocess.run([*command, path], capture_output=True, check=False).returncode == 1
    assert subprocess.run([*command, "--fix", path], check=False).returncode == 0
    assert path.read_text() == capitals
    assert subprocess.run([*command, path], capture_output=True, check=False).returncode == 0
