-- Makes a tenant's quotas those of its plan (`free` if it has none) and its own limits.
CREATE OR REPLACE FUNCTION refresh_usage_quotas(p_tenant text) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
    -- Whoever bought a plan several times may use it as often.
    WITH s AS MATERIALIZED (SELECT * FROM deciding_subscription(p_tenant)),
    fallen AS MATERIALIZED (
        SELECT f.* FROM s CROSS JOIN LATERAL lowered_until(p_tenant, s) f
    ), wanted AS (
        SELECT l.metric,
               CASE WHEN o.unlimited THEN NULL
                    ELSE coalesce(o.included, l.included * coalesce((SELECT plan_quantity FROM s), 1)) END AS limit_quantity,
               coalesce(o.cap, l.cap) AS cap,
               CASE WHEN m.aggregation IN ('sum', 'count', 'max') THEN coalesce(o.limit_window, l.limit_window)
                    ELSE 'period' END AS limit_window,
               greatest((SELECT coalesce(s.past_due_since, s.updated_at) + payment_grace() FROM s WHERE s.status = 'past_due'),
                        f.until) AS grace_until
          FROM plan_limits l
          LEFT JOIN fallen f ON f.metric = l.metric
          JOIN metrics m ON m.metric = l.metric
          LEFT JOIN tenant_limits o ON o.tenant = p_tenant AND o.metric = l.metric AND (o.until > now()) IS NOT FALSE
         WHERE l.plan = coalesce((SELECT plan FROM s), 'free')
    ), before AS MATERIALIZED (
        SELECT q.metric, q.limit_window FROM usage_quotas q WHERE q.tenant = p_tenant
    ), gone AS (
        DELETE FROM usage_quotas q
         WHERE q.tenant = p_tenant AND q.metric NOT IN (SELECT metric FROM wanted)
    ), moved AS (   -- without quotas it had those of the plan free
        INSERT INTO usage_window_changes (tenant)
        SELECT p_tenant
         WHERE EXISTS (SELECT FROM wanted w FULL JOIN before b USING (metric)
                        WHERE coalesce(w.limit_window, 'period') <> coalesce(b.limit_window, 'period'))
        ON CONFLICT (tenant) DO NOTHING
    )
    INSERT INTO usage_quotas (tenant, metric, limit_quantity, cap, limit_window, grace_until)
    SELECT p_tenant, metric, limit_quantity, cap, limit_window, grace_until FROM wanted
    ON CONFLICT (tenant, metric) DO UPDATE
       SET limit_quantity = excluded.limit_quantity, cap = excluded.cap, limit_window = excluded.limit_window,
           grace_until = excluded.grace_until, refreshed_at = now()
     WHERE (usage_quotas.limit_quantity, usage_quotas.cap, usage_quotas.limit_window, usage_quotas.grace_until)
           IS DISTINCT FROM (excluded.limit_quantity, excluded.cap, excluded.limit_window, excluded.grace_until);
END $$;

COMMENT ON FUNCTION refresh_usage_quotas IS 'Makes a tenant''s quotas those of its plan and its own limits.';
