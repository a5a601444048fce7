-- One half of a Redis entry id, from its bits.
CREATE OR REPLACE FUNCTION entry_half(bits bigint) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE WHEN bits < 0 THEN bits::numeric + 18446744073709551616 ELSE bits END::text;

COMMENT ON FUNCTION entry_half IS 'One half of a Redis entry id, from its bits.';
