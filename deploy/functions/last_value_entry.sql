CREATE OR REPLACE FUNCTION last_value_entry(p_last text) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN decode(substr(p_last, 17, 32), 'hex');

COMMENT ON FUNCTION last_value_entry IS 'The entry id of a last_value, both halves big endian.';
