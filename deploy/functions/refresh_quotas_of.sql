-- Makes quotas of tenants, which must differ, those of their plans (`free` if one has none) and their own limits. In one
-- statement: what it costs to begin it is more than what a tenant costs.
CREATE OR REPLACE FUNCTION refresh_quotas_of(p_tenants text[]) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
    WITH who AS MATERIALIZED (
        SELECT u.tenant, s, coalesce(s.plan, 'free') AS plan,
               -- Whoever bought a plan several times may use it as often.
               coalesce(s.plan_quantity, 1) AS quantity,
               CASE WHEN s.status = 'past_due' THEN coalesce(s.past_due_since, s.updated_at) + payment_grace() END AS grace_until
          FROM unnest(p_tenants) AS u (tenant)
         CROSS JOIN LATERAL deciding_subscription(u.tenant) s
    ), fallen AS MATERIALIZED (
        SELECT w.tenant, f.* FROM who w CROSS JOIN LATERAL lowered_until(w.tenant, w.s) f
    ), wanted AS MATERIALIZED (
        SELECT w.tenant, l.metric,
               CASE WHEN o.unlimited THEN NULL ELSE coalesce(o.included, l.included * w.quantity) END AS limit_quantity,
               coalesce(o.cap, l.cap) AS cap,
               CASE WHEN m.aggregation IN ('sum', 'count', 'max') THEN coalesce(o.limit_window, l.limit_window)
                    ELSE 'period' END AS limit_window,
               greatest(w.grace_until, (SELECT f.until FROM fallen f WHERE f.tenant = w.tenant AND f.metric = l.metric))
                   AS grace_until
          FROM who w
          JOIN plan_limits l ON l.plan = w.plan
          JOIN metrics m ON m.metric = l.metric
          LEFT JOIN tenant_limits o ON o.tenant = w.tenant AND o.metric = l.metric AND (o.until > now()) IS NOT FALSE
    ), before AS MATERIALIZED (
        SELECT q.tenant, q.metric, q.limit_window FROM usage_quotas q WHERE q.tenant = ANY (p_tenants)
    ), gone AS (
        DELETE FROM usage_quotas q
         WHERE q.tenant = ANY (p_tenants) AND (q.tenant, q.metric) NOT IN (SELECT w.tenant, w.metric FROM wanted w)
    ), moved AS (   -- without quotas it had those of the plan free
        INSERT INTO usage_window_changes (tenant)
        SELECT DISTINCT x.tenant
          FROM (SELECT tenant, coalesce(w.limit_window, 'period') AS is_now, coalesce(b.limit_window, 'period') AS was
                  FROM wanted w FULL JOIN before b USING (tenant, metric)) x
         WHERE x.is_now <> x.was
         ORDER BY x.tenant
        ON CONFLICT (tenant) DO NOTHING
    )
    INSERT INTO usage_quotas (tenant, metric, limit_quantity, cap, limit_window, grace_until)
    SELECT w.tenant, w.metric, w.limit_quantity, w.cap, w.limit_window, w.grace_until
      FROM wanted w ORDER BY w.tenant, w.metric
    ON CONFLICT (tenant, metric) DO UPDATE
       SET limit_quantity = excluded.limit_quantity, cap = excluded.cap, limit_window = excluded.limit_window,
           grace_until = excluded.grace_until, refreshed_at = now()
     WHERE (usage_quotas.limit_quantity, usage_quotas.cap, usage_quotas.limit_window, usage_quotas.grace_until)
           IS DISTINCT FROM (excluded.limit_quantity, excluded.cap, excluded.limit_window, excluded.grace_until);
END $$;

COMMENT ON FUNCTION refresh_quotas_of IS 'Makes quotas of tenants those of their plans and their own limits.';
