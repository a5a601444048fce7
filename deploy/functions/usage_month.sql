-- The calendar month (UTC) that holds a time. Not STRICT, and made of immutable functions alone, so that PostgreSQL
-- inlines it: a call for each key would be too slow.
CREATE OR REPLACE FUNCTION usage_month(p_at timestamptz) RETURNS tstzrange
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN tstzrange(date_trunc('month', p_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC',
                 (date_trunc('month', p_at AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC');

COMMENT ON FUNCTION usage_month IS 'The calendar month (UTC) that holds a time, as a range.';
