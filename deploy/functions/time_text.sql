-- A time as RFC 3339 has it, in UTC, without a fraction that is nothing.
CREATE OR REPLACE FUNCTION time_text(p_at timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN to_char(p_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS')
       || CASE WHEN extract(microseconds FROM p_at)::bigint % 1000000 = 0 THEN ''
               ELSE '.' || rtrim(to_char(p_at AT TIME ZONE 'UTC', 'US'), '0') END || 'Z';

COMMENT ON FUNCTION time_text IS 'A time as RFC 3339 has it, in UTC.';
