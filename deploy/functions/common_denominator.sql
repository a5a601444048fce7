-- The least number that all of these whole numbers divide; NULLs are left out.
CREATE OR REPLACE FUNCTION common_denominator(p_denominators numeric[]) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    denominator numeric;
    common numeric := 1;
BEGIN
    FOR denominator IN SELECT DISTINCT d FROM unnest(p_denominators) d WHERE d IS NOT NULL ORDER BY d LOOP
        common := lcm(common, denominator);
    END LOOP;
    RETURN common;
END $$;

COMMENT ON FUNCTION common_denominator IS 'The least number that all of these divide.';
