-- A time as RFC 3339 has it, in UTC, such as 2026-11-30T01:02:03Z.
CREATE OR REPLACE FUNCTION rfc3339(p_at timestamptz) RETURNS text
LANGUAGE sql STABLE STRICT AS $$
    SELECT to_char(p_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
$$;

COMMENT ON FUNCTION rfc3339 IS 'A time as text, RFC 3339 in UTC.';
