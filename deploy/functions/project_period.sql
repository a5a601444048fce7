-- The period of a subscription's cycle that holds the minute `at`, from anchor and interval alone, in UTC. The anchor
-- is cut to its minute first, otherwise the minute with the edge would be in no period. Months are added to the anchor
-- itself, so that the 31st comes back after a short month.
CREATE OR REPLACE FUNCTION project_period(anchor timestamptz, unit text, count integer, at timestamptz,
                                          OUT period_start timestamptz, OUT period_end timestamptz)
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    a timestamp := minute_of(anchor) AT TIME ZONE 'UTC';
    t timestamp := at AT TIME ZONE 'UTC';
    months integer := CASE unit WHEN 'month' THEN count WHEN 'year' THEN 12 * count ELSE 0 END;
    span interval := CASE unit WHEN 'day' THEN make_interval(days => count)
                               WHEN 'week' THEN make_interval(weeks => count) END;
    n bigint;
BEGIN
    IF months > 0 THEN
        n := floor(((extract(year FROM t) - extract(year FROM a)) * 12
                    + extract(month FROM t) - extract(month FROM a)) / months);
        WHILE a + make_interval(months => ((n + 1) * months)::integer) <= t LOOP n := n + 1; END LOOP;
        WHILE a + make_interval(months => (n * months)::integer) > t LOOP n := n - 1; END LOOP;
        period_start := (a + make_interval(months => (n * months)::integer)) AT TIME ZONE 'UTC';
        period_end := (a + make_interval(months => ((n + 1) * months)::integer)) AT TIME ZONE 'UTC';
    ELSE
        n := floor(extract(epoch FROM t - a) / extract(epoch FROM span));
        period_start := (a + n * span) AT TIME ZONE 'UTC';
        period_end := (a + (n + 1) * span) AT TIME ZONE 'UTC';
    END IF;
END $$;

COMMENT ON FUNCTION project_period IS
    'The period of a billing cycle that holds a minute, from anchor and interval alone.';
