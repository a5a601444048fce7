-- Until when limits of a tenant that fell do not deny: a row for each metric whose plan allowed more at some time in what
-- the limit counts over now, and the end of that. The plan was a higher one, or bought more often, or the catalog was
-- changed. It follows from the history of the subscription and of the catalog alone, so that neither the order in which
-- events came nor how often it is asked matters. What an operator sets for a tenant holds at once.
--
-- A plan that goes with the period before is none of this one, and Stripe may tell of the change a moment after that
-- of the period. So what held before the period counts only if it held for an hour of it.
CREATE OR REPLACE FUNCTION lowered_until(p_tenant text, s subscriptions)
RETURNS TABLE (metric text, until timestamptz)
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
    IF NOT EXISTS (SELECT FROM plan_limit_history) AND
       (SELECT count(*) FROM (SELECT FROM subscription_states x
                               WHERE x.stripe_subscription_id = s.stripe_subscription_id LIMIT 2) n) < 2 THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH limits AS MATERIALIZED (
        SELECT l.metric, l.included * coalesce(s.plan_quantity, 1) AS quantity, l.cap,
               CASE WHEN m.aggregation IN ('sum', 'count', 'max') THEN coalesce(o.limit_window, l.limit_window)
                    ELSE 'period' END AS kind
          FROM plan_limits l
          JOIN metrics m ON m.metric = l.metric
          LEFT JOIN tenant_limits o ON o.tenant = p_tenant AND o.metric = l.metric AND (o.until > now()) IS NOT FALSE
         WHERE l.plan = coalesce(s.plan, 'free') AND l.included IS NOT NULL
           AND o.included IS NULL AND o.unlimited IS NOT TRUE AND o.cap IS NULL
    ), windows AS MATERIALIZED (
        SELECT k.kind, lower(k.span) AS low, upper(k.span) AS high
          FROM (SELECT n.kind, limit_window(p_tenant, n.kind, now()) AS span
                  FROM (SELECT DISTINCT kind FROM limits) n OFFSET 0) k
    ), states AS MATERIALIZED (
        SELECT x.plan, x.status, x.valid_from, lead(x.valid_from, 1, 'infinity') OVER (ORDER BY x.valid_from) AS ended,
               coalesce((SELECT max(greatest(i.quantity, 1))
                           FROM jsonb_to_recordset(x.items) AS i (price text, quantity bigint)
                           JOIN stripe_prices p ON p.stripe_price_id = i.price AND p.plan = x.plan), 1) AS quantity
          FROM subscription_states x
         WHERE x.stripe_subscription_id = s.stripe_subscription_id
    ), had AS MATERIALIZED (   -- which plan, from when to when, within each window
        SELECT w.kind, w.high, x.plan, x.quantity, greatest(x.valid_from, w.low) AS since, x.ended
          FROM windows w
          JOIN states x ON x.ended > w.low
         WHERE x.plan IS NOT NULL AND x.status IN ('active', 'trialing', 'past_due')
           AND (x.valid_from >= w.low OR x.ended >= w.low + interval '1 hour'
                OR w.low <> (SELECT b.period_start FROM billing_period(p_tenant, now()) b))
        UNION ALL
        SELECT w.kind, w.high, coalesce(s.plan, 'free'), coalesce(s.plan_quantity, 1), w.low, 'infinity'
          FROM windows w WHERE NOT EXISTS (SELECT FROM states)
    ), allowed AS (            -- by the catalog of those times
        SELECT h.kind, h.high, l.metric, l.included * h.quantity AS quantity, l.cap
          FROM had h JOIN plan_limits l ON l.plan = h.plan
         WHERE NOT EXISTS (SELECT FROM plan_limit_history r
                            WHERE r.plan = h.plan AND r.metric = l.metric AND r.replaced_at >= h.ended)
        UNION ALL
        SELECT h.kind, h.high, r.metric, r.included * h.quantity, r.cap
          FROM had h
          JOIN plan_limit_history r ON r.plan = h.plan AND r.replaced_at > h.since
         WHERE NOT EXISTS (SELECT FROM plan_limit_history q
                            WHERE q.plan = r.plan AND q.metric = r.metric
                              AND q.replaced_at < r.replaced_at AND q.replaced_at >= h.ended)
        UNION ALL
        SELECT h.kind, h.high, n.metric, NULL, 'none'
          FROM had h CROSS JOIN limits n
         WHERE NOT EXISTS (SELECT FROM plan_limits l WHERE l.plan = h.plan AND l.metric = n.metric)
    )
    SELECT n.metric, max(a.high)
      FROM limits n JOIN allowed a USING (metric, kind)
     WHERE a.quantity IS NULL OR a.quantity > n.quantity OR a.cap <> 'hard' AND n.cap = 'hard'
     GROUP BY n.metric;
END $$;

COMMENT ON FUNCTION lowered_until IS 'Until when limits of a tenant that fell within their window do not deny.';
