CREATE OR REPLACE FUNCTION last_value_quantity(p_last text) RETURNS numeric
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN substr(p_last, 49)::numeric;

COMMENT ON FUNCTION last_value_quantity IS 'The quantity of a last_value.';
