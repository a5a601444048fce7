-- The greatest whole number at or below a quotient whose divisor is above 0, exactly: numeric division would round.
CREATE OR REPLACE FUNCTION floor_div(p_a numeric, p_b numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN div(p_a, p_b) - CASE WHEN p_a < 0 AND div(p_a, p_b) * p_b <> p_a THEN 1 ELSE 0 END;

COMMENT ON FUNCTION floor_div IS 'The greatest whole number at or below a quotient.';
