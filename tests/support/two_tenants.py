"""Rows of two tenants in every table that has tenants, of whatever shape: to see who sees which."""

TENANTS = ("acme", "globex")

RELATIONS = """
    SELECT c.relname AS name, c.relkind IN ('v', 'm') AS is_view,
           EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant' AND NOT a.attisdropped) AS has_tenant
      FROM pg_class c
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
     ORDER BY 1"""


SPECIAL = {"metric": "api_calls", "currency": "usd", "cap": "none", "limit_window": "period", "billing_interval": "month", "role": "viewer",
           "aggregation": "sum", "transport": "meter_events", "rounding": "floor", "channel": "mail", "state": "sent", "plan": "free",
           "status": "active", "kind": "settle", "period_end": "2027-01-01", "until_at": "2027-01-01", "interval_count": 1, "limit_quantity": 5, "usage_type": "metered"}
BY_TYPE = {"text": "x", "jsonb": "{}", "json": "{}", "boolean": True, "date": "2026-06-01", "uuid": "00000000-0000-0000-0000-000000000001",
           "bytea": b"x" * 32, "fraction": "(1,1)", "text[]": "{}", "integer[]": "{}", "bigint[]": "{}", "numeric[]": "{}",
           "timestamp with time zone[]": "{}", "uuid[]": "{}", "smallint[]": "{}", "interval": "1 day"}


def fill(line, table, tenant, number, mark="x"):
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
        value = mark if value == "x" else value
        if column.name in unique and column.name not in SPECIAL and column.type in ("text", "bytea"):
            value = f"{value}{number}" if column.type == "text" else bytes([number]) * 32
        row[column.name] = value
    line.sql("SET session_replication_role = replica; "
             f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})", *row.values())


def fill_all(line, mark="x"):
    """mark: begins each text of the second tenant."""
    for relation in line.sql(RELATIONS):
        if relation.has_tenant and not relation.is_view:
            for number, tenant in enumerate(TENANTS, 1):
                fill(line, relation.name, tenant, number, mark if number == 2 else "x")
    line.sql("RESET session_replication_role")
