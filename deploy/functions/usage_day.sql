-- The UTC day that holds a time. As usage_month, so that PostgreSQL inlines it.
CREATE OR REPLACE FUNCTION usage_day(p_at timestamptz) RETURNS tstzrange
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN tstzrange(date_trunc('day', p_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC',
                 (date_trunc('day', p_at AT TIME ZONE 'UTC') + interval '1 day') AT TIME ZONE 'UTC');

COMMENT ON FUNCTION usage_day IS 'The UTC day that holds a time, as a range.';
