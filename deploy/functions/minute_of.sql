CREATE OR REPLACE FUNCTION minute_of(at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN date_trunc('minute', at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';

COMMENT ON FUNCTION minute_of IS 'The minute that a time lies in.';
