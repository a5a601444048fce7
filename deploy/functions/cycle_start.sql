-- When the period of a cycle that holds a time began, to the second. The time is not before the anchor.
CREATE OR REPLACE FUNCTION cycle_start(p_anchor timestamptz, p_unit text, p_count integer, p_at timestamptz)
RETURNS timestamptz LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    start timestamptz := p_anchor;
    edge timestamptz;
BEGIN
    LOOP
        edge := next_period(p_anchor, p_unit, p_count, start);
        EXIT WHEN edge > p_at;
        start := edge;
    END LOOP;
    RETURN start;
END $$;

COMMENT ON FUNCTION cycle_start IS 'When the period of a cycle that holds a time began.';
