-- An exact amount, times a whole number, as a whole number: half away from zero.
CREATE OR REPLACE FUNCTION fraction_round(p_amount fraction, p_times numeric DEFAULT 1) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN sign(p_amount.numerator) * div(2 * abs(p_amount.numerator) * p_times + p_amount.denominator,
                                      2 * p_amount.denominator);

COMMENT ON FUNCTION fraction_round IS 'An exact amount as a whole number, half away from zero.';
