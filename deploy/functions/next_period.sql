-- When the period that begins at a time ends, to the second: the next edge of the cycle behind it. Months are added to
-- the anchor itself, so that the 31st comes back after a short month.
CREATE OR REPLACE FUNCTION next_period(p_anchor timestamptz, p_unit text, p_count integer, p_start timestamptz)
RETURNS timestamptz LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    a timestamp := p_anchor AT TIME ZONE 'UTC';
    t timestamp := p_start AT TIME ZONE 'UTC';
    months integer := CASE p_unit WHEN 'month' THEN p_count WHEN 'year' THEN 12 * p_count ELSE 0 END;
    span_s bigint := p_count * CASE p_unit WHEN 'day' THEN 86400 WHEN 'week' THEN 604800 END;
    n bigint;
BEGIN
    IF months = 0 THEN
        n := div(extract(epoch FROM t - a), span_s);
        WHILE a + n * span_s * interval '1 s' <= t LOOP n := n + 1; END LOOP;
        RETURN (a + n * span_s * interval '1 s') AT TIME ZONE 'UTC';
    END IF;
    n := div((extract(year FROM t) - extract(year FROM a)) * 12 + extract(month FROM t) - extract(month FROM a), months) - 1;
    WHILE a + make_interval(months => (n * months)::integer) <= t LOOP n := n + 1; END LOOP;
    RETURN (a + make_interval(months => (n * months)::integer)) AT TIME ZONE 'UTC';
END $$;

COMMENT ON FUNCTION next_period IS 'When the period that begins at a time ends, to the second.';
