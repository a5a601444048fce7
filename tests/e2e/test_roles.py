"""Every table and view: meterline_api may do what the API does and nothing else; meterline_tenant sees its own rows alone."""

import re

import psycopg2
import pytest

from line.paths import ROOT

TENANTS = ("acme", "globex")
# What is Stripe's to tell, webhookd's to write, or the aggregator's.
NEVER_WRITTEN = {"billing_customers", "subscriptions", "subscription_items", "subscription_states", "invoices", "payments", "checkout_sessions",
                 "usage_quotas", "usage_totals", "usage_aggregates", "usage_batches", "usage_submissions", "usage_claims", "metrics", "plans",
                 "plan_limits", "stream_positions", "ledger_state", "schema_migrations"}
# Everybody may see what is sold.
OF_ALL = {"metrics", "plans", "plan_limits"}

RELATIONS = """
    SELECT c.relname AS name, c.relkind IN ('v', 'm') AS is_view,
           EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant' AND NOT a.attisdropped) AS has_tenant
      FROM pg_class c
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
     ORDER BY 1"""


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


def texts_of_the_api(line):
    """Its statements, and the functions and views that they use."""
    bodies = {row.name: row.body for row in line.sql(
        "SELECT proname AS name, string_agg(coalesce(prosrc, '') || ' ' || coalesce(pg_get_function_sqlbody(oid), ''), ' ') AS body"
        " FROM pg_proc WHERE pronamespace = 'public'::regnamespace GROUP BY 1")}
    bodies.update({row.name: row.body for row in line.sql(
        "SELECT relname AS name, pg_get_viewdef(oid) AS body FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace")})
    texts = [re.sub(r"--.*", "", path.read_text(encoding="utf-8")) for path in statements()]
    seen, new = set(), set(re.findall(r"\w+", " ".join(texts)))
    while new & bodies.keys():
        reached = [bodies.pop(name) for name in new & bodies.keys()]
        texts += reached
        seen |= new
        new = set(re.findall(r"\w+", " ".join(reached))) - seen
    return texts


def needs(texts, table, privilege):
    """Whether a statement does that with the table. Locking its rows is an UPDATE to PostgreSQL."""
    does = {"SELECT": rf"\b{table}\b", "INSERT": rf"INSERT\s+INTO\s+{table}\b", "DELETE": rf"DELETE\s+FROM\s+{table}\b",
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


# Rows of two tenants in every table.

SPECIAL = {"metric": "api_calls", "currency": "usd", "cap": "none", "limit_window": "period", "billing_interval": "month", "role": "viewer",
           "aggregation": "sum", "transport": "meter_events", "rounding": "floor", "channel": "mail", "state": "sent", "plan": "free",
           "status": "active", "kind": "settle", "period_end": "2027-01-01", "interval_count": 1, "limit_quantity": 5, "usage_type": "metered"}
BY_TYPE = {"text": "x", "jsonb": "{}", "json": "{}", "boolean": True, "date": "2026-06-01", "uuid": "00000000-0000-0000-0000-000000000001",
           "bytea": b"x" * 32, "fraction": "(1,1)", "text[]": "{}", "integer[]": "{}", "bigint[]": "{}", "numeric[]": "{}",
           "timestamp with time zone[]": "{}", "uuid[]": "{}", "smallint[]": "{}", "interval": "1 day"}


def fill(line, table, tenant, number):
    columns = line.sql("""
        SELECT a.attname AS name, format_type(a.atttypid, NULL) AS type,
               a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AS is_needed
          FROM pg_attribute a WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped""", table)
    unique = {row.name for row in line.sql("""
        SELECT DISTINCT a.attname AS name FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
         WHERE i.indrelid = %s::regclass AND i.indisunique""", table)}
    row = {"tenant": tenant}
    for column in columns:
        if column.name == "tenant" or not (column.is_needed or (column.name == "metric" and table != "subscription_items")):
            continue
        value = SPECIAL.get(column.name, BY_TYPE.get(column.type, number if "time" not in column.type else "2026-06-01"))
        if column.name in unique and column.name not in SPECIAL and column.type in ("text", "bytea"):
            value = f"{value}{number}" if column.type == "text" else bytes([number]) * 32
        row[column.name] = value
    line.sql("SET session_replication_role = replica; "
             f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})", *row.values())


@pytest.fixture(name="filled")
def filled_fixture(line):
    line.catalog()
    for relation in line.sql(RELATIONS):
        if relation.has_tenant and not relation.is_view:
            for number, tenant in enumerate(TENANTS, 1):
                fill(line, relation.name, tenant, number)
    line.sql("RESET session_replication_role")
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
