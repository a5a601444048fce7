CREATE OR REPLACE FUNCTION last_value_ms(p_last text) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN ('x' || left(p_last, 16))::bit(64)::bigint # (-9223372036854775808);

COMMENT ON FUNCTION last_value_ms IS 'The time of use of a last_value, Unix ms.';
