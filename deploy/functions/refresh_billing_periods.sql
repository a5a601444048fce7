-- Stores what a tenant's subscriptions say of their periods. If an edge moved, makes the totals exact again,
-- including what is carried into later periods, and what is claimed of them. Call it in the transaction that changed a
-- subscription.
--
-- fold_usage takes the same lock shared, so nothing is added by the old edges meanwhile, and what is pending is added
-- by the new ones. Claimers must finish their page first, because claims must be seen where they are now. That lock is
-- taken before the edges are locked, so that nobody who counts has to wait with this call.
CREATE OR REPLACE FUNCTION refresh_billing_periods(p_tenant text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    ids text[];
    lows timestamptz[];
    highs timestamptz[];
    v bigint;
    stale_metrics text[];
    stale_starts timestamptz[];
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('meterline claims'));
    PERFORM pg_advisory_xact_lock(hashtext('meterline periods'));
    DELETE FROM billing_periods b
     USING subscriptions s
     WHERE b.tenant = p_tenant AND s.stripe_subscription_id = b.stripe_subscription_id AND s.tenant <> p_tenant;

    -- What is told now, for each subscription from the first period that it tells of. A subscription without
    -- observations tells only its current period.
    SELECT coalesce(array_agg(s.stripe_subscription_id ORDER BY s.started_at, s.stripe_subscription_id, t.low), '{}'),
           array_agg(t.low ORDER BY s.started_at, s.stripe_subscription_id, t.low),
           array_agg(t.high ORDER BY s.started_at, s.stripe_subscription_id, t.low)
      INTO ids, lows, highs
      FROM subscriptions s
     CROSS JOIN LATERAL (
           SELECT x.period_start AS low, x.period_end AS high FROM told_periods(s.stripe_subscription_id) x
           UNION ALL
           SELECT minute_of(s.current_period_start), minute_of(least(s.current_period_end, s.ended_at))
            WHERE NOT EXISTS (SELECT FROM stripe_observations o WHERE o.object_id = s.stripe_subscription_id)) t
     WHERE s.tenant = p_tenant AND s.status NOT IN ('incomplete', 'incomplete_expired');

    UPDATE billing_periods b SET period_end = f.low
      FROM (SELECT id, min(low) AS low FROM unnest(ids, lows) AS n (id, low) GROUP BY id) f
     WHERE b.tenant = p_tenant AND b.stripe_subscription_id = f.id AND b.period_start < f.low AND b.period_end > f.low;
    DELETE FROM billing_periods b
     USING (SELECT id, min(low) AS low FROM unnest(ids, lows) AS n (id, low) GROUP BY id) f
     WHERE b.tenant = p_tenant AND b.stripe_subscription_id = f.id AND b.period_start >= f.low;

    -- A newer subscription takes precedence in its own periods.
    SELECT coalesce(array_agg(d.id), '{}'), array_agg(lower(d.span)), array_agg(upper(d.span)) INTO ids, lows, highs
      FROM (SELECT n.id, unnest(tstzmultirange(tstzrange(n.low, n.high))
                                - coalesce((SELECT range_agg(tstzrange(o.low, o.high))
                                              FROM unnest(ids, lows, highs) WITH ORDINALITY AS o (id, low, high, place)
                                             WHERE o.id <> n.id AND o.place > n.place AND o.low < o.high), '{}')
                                - coalesce((SELECT range_agg(tstzrange(b.period_start, b.period_end))
                                              FROM billing_periods b
                                              JOIN subscriptions s USING (stripe_subscription_id)
                                              JOIN subscriptions own ON own.stripe_subscription_id = n.id
                                             WHERE b.tenant = p_tenant
                                               AND (s.started_at, s.stripe_subscription_id)
                                                 > (own.started_at, own.stripe_subscription_id)), '{}')) AS span
              FROM unnest(ids, lows, highs) WITH ORDINALITY AS n (id, low, high, place)
             WHERE n.low < n.high) d;
    DELETE FROM billing_periods b
     USING unnest(lows, highs) AS n (low, high)
     WHERE b.tenant = p_tenant AND b.period_start >= n.low AND b.period_start < n.high;
    UPDATE billing_periods b
       SET period_end = (SELECT min(n.low) FROM unnest(lows) AS n (low) WHERE n.low > b.period_start)
     WHERE b.tenant = p_tenant
       AND EXISTS (SELECT FROM unnest(lows) AS n (low) WHERE b.period_start < n.low AND b.period_end > n.low);
    INSERT INTO billing_periods (tenant, period_start, period_end, stripe_subscription_id)
    SELECT p_tenant, n.low, n.high, n.id FROM unnest(ids, lows, highs) AS n (id, low, high);

    UPDATE ledger_state SET value = value + 1 WHERE name = 'periods_version' RETURNING value INTO v;
    INSERT INTO billing_period_changes (tenant, version) VALUES (p_tenant, v)
        ON CONFLICT (tenant) DO UPDATE SET version = excluded.version;

    IF NOT EXISTS (SELECT FROM usage_totals t WHERE t.tenant = p_tenant)
       AND NOT EXISTS (SELECT FROM usage_claims c WHERE c.tenant = p_tenant)
       AND NOT EXISTS (SELECT FROM usage_submissions s WHERE s.tenant = p_tenant) THEN
        RETURN;
    END IF;

    SELECT array_agg(o.metric), array_agg(o.period_start) INTO stale_metrics, stale_starts
      FROM usage_totals o, billing_period(p_tenant, o.period_start) b
     WHERE o.tenant = p_tenant
       AND (b.period_start, b.period_end) IS DISTINCT FROM (o.period_start, o.period_end);
    -- Greater than all versions so far, because what is made again may have been claimed by one of them.
    v := greatest(nextval('usage_version'), 1 + (SELECT max(t.version) FROM usage_totals t WHERE t.tenant = p_tenant));

    WITH stale AS (
        DELETE FROM usage_totals t
         USING unnest(stale_metrics, stale_starts) x (metric, period_start)
         WHERE t.tenant = p_tenant AND t.metric = x.metric AND t.period_start = x.period_start
        RETURNING t.metric, t.period_start, t.period_end
    ), forgotten AS (
        DELETE FROM usage_uniques u
         USING stale s
         WHERE u.tenant = p_tenant AND u.metric = s.metric AND u.period_start = s.period_start
        RETURNING u.metric
    ), minutes AS (
        SELECT a.metric, a.dimensions, b.period_start, b.period_end, a.events, a.quantity_sum, a.quantity_max,
               a.quantity_last, a.last_ms, a.last_entry
          FROM stale s
          JOIN usage_aggregates a ON a.tenant = p_tenant AND a.metric = s.metric
           AND a.minute_at >= s.period_start AND a.minute_at < s.period_end
         CROSS JOIN LATERAL billing_period(p_tenant, a.minute_at) b
    ), uniques AS (
        INSERT INTO usage_uniques (tenant, metric, period_start, dimensions, events)
        SELECT p_tenant, n.metric, n.period_start, n.dimensions, sum(n.events)
          FROM minutes n JOIN metrics m USING (metric)
         -- Counted, so that they are deleted before the same ones are added.
         WHERE m.aggregation = 'unique' AND (SELECT count(*) FROM forgotten) >= 0
         GROUP BY n.metric, n.period_start, n.dimensions
    )
    INSERT INTO usage_totals (tenant, metric, period_start, period_end, quantity, version, last_ms, last_entry)
    SELECT p_tenant, m.metric, n.period_start, n.period_end,
           CASE m.aggregation
               WHEN 'sum' THEN sum(n.quantity_sum)
               WHEN 'count' THEN sum(n.events)
               WHEN 'max' THEN max(n.quantity_max)
               WHEN 'unique' THEN count(DISTINCT n.dimensions)
               ELSE (array_agg(n.quantity_last ORDER BY n.last_ms DESC, n.last_entry DESC))[1]
           END,
           v, max(n.last_ms),
           (array_agg(n.last_entry ORDER BY n.last_ms DESC, n.last_entry DESC))[1]
      FROM minutes n JOIN metrics m USING (metric)
     GROUP BY m.metric, m.aggregation, n.period_start, n.period_end;

    IF stale_metrics IS NOT NULL THEN
        PERFORM carry_totals(array_fill(p_tenant, ARRAY[cardinality(stale_metrics)]), stale_metrics, stale_starts, v);
    END IF;

    -- Limits that count over months count over other ones now.
    UPDATE usage_totals t SET window_start = NULL, window_end = '-infinity', window_quantity = NULL
     WHERE t.tenant = p_tenant AND t.period_end > now() - interval '31 days'
       AND (t.window_end IS NOT NULL OR has_windows() AND window_kind(t.tenant, t.metric) <> 'period');
    INSERT INTO usage_window_changes (tenant) VALUES (p_tenant) ON CONFLICT (tenant) DO NOTHING;

    -- A claim for a period that now has nothing to bill must be taken back, and the sink only sees totals. A
    -- claim behind the first minute of a total surely belongs to it, and is not examined.
    INSERT INTO usage_totals (tenant, metric, period_start, period_end, quantity, version, last_ms, last_entry)
    SELECT p_tenant, u.metric, b.period_start, b.period_end, 0, v, (-9223372036854775808), ''
      FROM (SELECT DISTINCT s.metric, s.usage_at, s.period_start, s.carried
              FROM usage_submissions s
             WHERE s.tenant = p_tenant AND s.state <> 'void'
               AND NOT EXISTS (SELECT FROM usage_totals t
                                WHERE t.tenant = p_tenant AND t.metric = s.metric AND NOT s.carried
                                  AND t.period_start < s.usage_at AND s.usage_at < t.period_end)) u
     CROSS JOIN LATERAL submission_period(p_tenant, u.usage_at, u.period_start, u.carried) b
    ON CONFLICT (tenant, metric, period_start) DO NOTHING;

    -- What was claimed goes with its minutes. A period that has no total any more holds nothing, also when it gets one
    -- again. Where Stripe's edge lies inside a minute, the period beside one that moved may gain or lose what was claimed
    -- in that minute.
    UPDATE usage_claims c SET claimed = 0, version = -1, periods_version = -1
     WHERE c.tenant = p_tenant AND c.claimed <> 0
       AND NOT EXISTS (SELECT FROM usage_totals t
                        WHERE t.tenant = p_tenant AND t.metric = c.metric AND t.period_start = c.period_start);
    PERFORM sum_claim(p_tenant, t.metric, t.period_start, t.period_end)
       FROM usage_totals t
      WHERE t.tenant = p_tenant
        AND (t.version >= v
             OR EXISTS (SELECT FROM usage_submissions s
                         WHERE s.tenant = p_tenant AND s.metric = t.metric AND s.state <> 'void'
                           AND s.usage_at IN (t.period_start, t.period_end))
                AND EXISTS (SELECT FROM usage_totals n
                             WHERE n.tenant = p_tenant AND n.metric = t.metric AND n.version >= v
                               AND (n.period_start = t.period_end OR n.period_end = t.period_start)));
END $$;

COMMENT ON FUNCTION refresh_billing_periods IS
    'Stores a tenant''s subscription periods, and makes the totals exact where an edge moved.';
REVOKE ALL ON FUNCTION refresh_billing_periods FROM PUBLIC;
GRANT EXECUTE ON FUNCTION refresh_billing_periods TO meterline_webhookd, meterline_ctl;
