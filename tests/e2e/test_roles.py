"""Every table and view: meterline_api may do what the API does and nothing else; meterline_tenant sees its own rows alone."""

import re

import psycopg2
import pytest

from line.paths import ROOT
from support.two_tenants import RELATIONS, TENANTS, fill_all

# What is Stripe's to tell, webhookd's to write, or the aggregator's.
NEVER_WRITTEN = {"billing_customers", "subscriptions", "subscription_items", "subscription_states", "invoices", "payments", "checkout_sessions",
                 "usage_quotas", "usage_totals", "usage_aggregates", "usage_batches", "usage_submissions", "usage_claims", "metrics", "plans",
                 "plan_limits", "stream_positions", "ledger_state", "schema_migrations"}
# Everybody may see what is sold.
OF_ALL = {"metrics", "plans", "plan_limits"}

def as_role(line, role, query, *params, tenant=None):
    with line.postgres.connect() as connection, connection.cursor() as cursor:
        if tenant:
            cursor.execute("SELECT set_config('meterline.tenant', %s, false)", (tenant,))
        cursor.execute("SELECT set_config('role', %s, false)", (f"meterline_{role}",))
        cursor.execute(query, params or None)
        return cursor.fetchall() if cursor.description else []


def granted(line, role):
    """{(relation, privilege)} on whole relations, and {(relation, privilege): columns}."""
    whole = {(row.name, row.privilege) for row in line.sql(f"""
        SELECT r.name, a.privilege_type AS privilege FROM ({RELATIONS}) r
          JOIN pg_class c ON c.relname = r.name AND c.relnamespace = 'public'::regnamespace
         CROSS JOIN LATERAL aclexplode(c.relacl) a WHERE a.grantee = 'meterline_{role}'::regrole""")}
    columns = {}
    for row in line.sql(f"""
        SELECT c.relname AS name, a.privilege_type AS privilege, t.attname AS column FROM pg_class c
          JOIN pg_attribute t ON t.attrelid = c.oid CROSS JOIN LATERAL aclexplode(t.attacl) a
         WHERE c.relnamespace = 'public'::regnamespace AND a.grantee = 'meterline_{role}'::regrole"""):
        columns.setdefault((row.name, row.privilege), set()).add(row.column)
    return whole, columns


def statements():
    return sorted((ROOT / "api").rglob("*.sql")) + sorted((ROOT / "common" / "sql").glob("*.sql"))


def without_comments(text):
    return re.sub(r"--.*", "", text)


def texts_of_the_api(line):
    """Its statements, and the functions, triggers and views that they use, without what runs with its owner's rights."""
    bodies = {row.name: row.body for row in line.sql(
        "SELECT proname AS name, string_agg(coalesce(prosrc, '') || ' ' || coalesce(pg_get_function_sqlbody(oid), ''), ' ') AS body"
        " FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND NOT prosecdef GROUP BY 1")}
    bodies = {name: without_comments(body) for name, body in bodies.items()}
    bodies.update({row.name: row.body for row in line.sql(
        "SELECT relname AS name, pg_get_viewdef(oid) AS body FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace"
        " AND 'security_invoker=true' = ANY(reloptions)")})
    texts = [without_comments(path.read_text(encoding="utf-8")) for path in statements()]
    triggers = [row.name for row in line.sql(
        "SELECT tgfoid::regproc::text AS name FROM pg_trigger WHERE NOT tgisinternal"
        " AND has_any_column_privilege('meterline_api', tgrelid, 'INSERT, UPDATE')")]
    seen, new = set(), set(re.findall(r"\w+", " ".join(texts + triggers)))
    while new & bodies.keys():
        reached = [bodies.pop(name) for name in new & bodies.keys()]
        texts += reached
        seen |= new
        new = set(re.findall(r"\w+", " ".join(reached))) - seen
    return texts


def needs(texts, table, privilege):
    """Whether a statement does that with the table. Locking its rows is an UPDATE to PostgreSQL."""
    reads = rf"(\b(FROM|JOIN|UPDATE|USING|INTO)|,)[\s(]+(ONLY\s+)?(public\.)?{table}\b"   # A key of JSON may have its name too.
    does = {"SELECT": reads, "INSERT": rf"INSERT\s+INTO\s+{table}\b", "DELETE": rf"DELETE\s+FROM\s+{table}\b",
            "UPDATE": rf"UPDATE\s+{table}\b|INSERT\s+INTO\s+{table}\b.*DO\s+UPDATE|\b{table}\b.*FOR\s+(NO\s+KEY\s+)?UPDATE"}
    return any(re.search(does[privilege], text, re.IGNORECASE | re.DOTALL) for text in texts)


def test_the_api_may_do_nothing_that_none_of_its_statements_does(line):
    whole, columns = granted(line, "api")
    texts = texts_of_the_api(line)
    assert {each for each in whole | columns.keys() if not needs(texts, *each)} == set()
    assert {table for table, privilege in whole | columns.keys() if privilege != "SELECT"} & NEVER_WRITTEN == set()
    assert not line.value("SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls FROM pg_roles WHERE rolname = 'meterline_api'")
    assert line.sql("SELECT 1 FROM pg_auth_members WHERE member = 'meterline_api'::regrole") == []


@pytest.mark.parametrize("path", statements(), ids=lambda path: path.stem)
def test_a_statement_of_the_api_is_allowed(line, path):
    """Planned and begun, not run: that is when PostgreSQL looks at grants."""
    text = re.sub(r"^\s*--.*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    if text.strip().upper().startswith("LISTEN"):
        return
    nulls = ", ".join(["NULL"] * max([0, *(int(n) for n in re.findall(r"\$(\d+)", text))]))
    as_role(line, "api", f"PREPARE asked AS {text}; EXPLAIN EXECUTE asked{f'({nulls})' if nulls else ''}")


@pytest.fixture(name="filled")
def filled_fixture(line):
    line.catalog()
    fill_all(line)
    for tenant in TENANTS:
        line.xadd(tenant=tenant, metric="api_calls")
    line.must("aggregator", "--once")   # For usage_events, whose rows are of many tenants.
    return line


def test_a_tenant_sees_its_own_rows_alone_in_every_table_and_view(filled):
    seen = set()
    for relation in filled.sql(RELATIONS):
        for tenant in TENANTS:
            try:
                rows = as_role(filled, "tenant", f"SELECT * FROM {relation.name}", tenant=tenant)
            except psycopg2.errors.InsufficientPrivilege:
                continue
            seen.add(relation.name)
            if relation.name not in OF_ALL:
                assert relation.has_tenant, f"{relation.name} does not say whose its rows are"
                assert {row.tenant for row in rows} == {tenant}, relation.name
                assert as_role(filled, "tenant", f"SELECT * FROM {relation.name}") == [], f"{relation.name}: of nobody"
    assert seen >= {"usage_totals", "usage_aggregates", "usage_events", "invoices", "subscriptions", "billing_history"}
    assert not seen & {"api_keys", "portal_tokens", "api_requests", "webhook_events", "usage_batches", "alert_settings"}


def test_a_tenant_writes_nothing(line):
    whole, columns = granted(line, "tenant")
    assert {privilege for _, privilege in whole} == {"SELECT"} and {privilege for _, privilege in columns} <= {"SELECT"}


def test_every_table_of_tenants_keeps_them_apart(line):
    loose = [row.name for row in line.sql(f"""
        SELECT r.name FROM ({RELATIONS}) r JOIN pg_class c ON c.relname = r.name AND c.relnamespace = 'public'::regnamespace
         WHERE r.has_tenant AND CASE WHEN r.is_view THEN NOT coalesce(c.reloptions && ARRAY['security_invoker=true', 'security_barrier=true'], false)
                                     ELSE NOT c.relrowsecurity END""")]
    assert loose == []
