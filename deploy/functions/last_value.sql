-- A value with its position among all values of a metric, as a text that sorts by it: 16 hex digits of the time of use
-- in Unix ms (sign bit flipped), 32 of the entry's id, then the quantity.
CREATE OR REPLACE FUNCTION last_value(p_ms bigint, p_entry_ms bigint, p_entry_seq bigint, p_quantity numeric) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN lpad(to_hex(p_ms # (-9223372036854775808)), 16, '0') || lpad(to_hex(p_entry_ms), 16, '0')
       || lpad(to_hex(p_entry_seq), 16, '0') || p_quantity::text;

-- PostgreSQL has a window function of the same name, so the arguments are needed.
COMMENT ON FUNCTION last_value(bigint, bigint, bigint, numeric) IS 'A quantity with its time and entry id, as a text that sorts by them.';
