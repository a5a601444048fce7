-- What a part is of a whole, in per cent with four decimals, half away from zero. NULL: there is no whole.
CREATE OR REPLACE FUNCTION fraction_percent(p_part fraction, p_whole fraction) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN p_whole.numerator > 0 THEN
            (fraction_round(ROW(p_part.numerator * p_whole.denominator, p_part.denominator * p_whole.numerator)::fraction,
                            1000000) / 10000)::numeric(38, 4) END;

COMMENT ON FUNCTION fraction_percent IS 'What a part is of a whole, in per cent with four decimals.';
