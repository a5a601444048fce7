-- The periods of a subscription that its observations tell of, in minutes and without overlap: each ends where the next
-- one begins, if that cut it short. An event tells the period before it too.
CREATE OR REPLACE FUNCTION told_periods(p_subscription text, OUT period_start timestamptz, OUT period_end timestamptz)
RETURNS SETOF record
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    RETURN QUERY
    WITH told AS (
        SELECT x.starts_at, x.ends_at, o.created_at, o.is_last AND x.is_after AS is_better, o.is_final, o.status, o.event_id
          FROM stripe_observations o
         CROSS JOIN LATERAL (VALUES (o.starts_at, o.ends_at, true, o.status),
                                    (o.prior_starts_at, o.prior_ends_at, false, o.prior_status))
                            AS x (starts_at, ends_at, is_after, status)
         WHERE o.object_id = p_subscription AND x.starts_at IS NOT NULL
           AND x.status NOT IN ('incomplete', 'incomplete_expired')
    ), ended AS (
        SELECT min(coalesce(fact_time(o.facts, 'ended_at'), o.created_at)) AS at
          FROM stripe_observations o WHERE o.object_id = p_subscription AND o.is_final
    ), periods AS (   -- what was told last of each
        SELECT DISTINCT ON (starts_at) starts_at, ends_at
          FROM told
         ORDER BY starts_at, is_final DESC, created_at DESC, is_better DESC, ends_at DESC
    ), edges AS (
        SELECT minute_of(starts_at) AS low,
               minute_of(least(ends_at, lead(starts_at) OVER (ORDER BY starts_at), (SELECT at FROM ended))) AS high
          FROM periods
    )
    SELECT low, high FROM edges WHERE low < high;
END $$;

COMMENT ON FUNCTION told_periods IS 'The periods of a subscription that its observations tell of.';
