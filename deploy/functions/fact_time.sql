-- A time among the facts of an observation, which are Unix seconds.
CREATE OR REPLACE FUNCTION fact_time(p_facts jsonb, p_name text) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN to_timestamp((p_facts ->> p_name)::float8);

COMMENT ON FUNCTION fact_time IS 'A time among the facts of an observation.';
