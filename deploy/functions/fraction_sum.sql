-- The exact sum of amounts. Those that are NULL are left out.
CREATE OR REPLACE FUNCTION fraction_sum(p_parts fraction[]) RETURNS fraction
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    part record;
    common numeric;
    total fraction := ROW(0, 1)::fraction;
BEGIN
    FOR part IN
        SELECT sum(x.numerator) AS numerator, x.denominator FROM unnest(p_parts) x
         WHERE x.denominator IS NOT NULL
         GROUP BY x.denominator
         ORDER BY x.denominator
    LOOP
        common := lcm(total.denominator, part.denominator);
        total.numerator := total.numerator * div(common, total.denominator)
                           + part.numerator * div(common, part.denominator);
        total.denominator := common;
    END LOOP;
    RETURN total;
END $$;

COMMENT ON FUNCTION fraction_sum IS 'The exact sum of amounts.';
