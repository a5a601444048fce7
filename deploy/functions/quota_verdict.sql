-- May a tenant use so much more of a metric now? As meterline_check in Redis, but for what is reserved there. A tenant
-- without quotas has those of the plan free.
CREATE OR REPLACE FUNCTION quota_verdict(p_tenant text, p_metric text, p_quantity numeric DEFAULT 1)
RETURNS TABLE (verdict text, reason text) LANGUAGE sql STABLE AS $$
    SELECT d.verdict, d.reason
      FROM (SELECT has_free_limits(p_tenant) AS is_free) h
      LEFT JOIN usage_quotas q ON q.tenant = p_tenant AND q.metric = p_metric
      LEFT JOIN plan_limits f ON h.is_free AND f.plan = 'free' AND f.metric = p_metric
     CROSS JOIN LATERAL decide_quota(
               coalesce(tenant_status(p_tenant), 'active'), EXISTS (SELECT FROM metrics m WHERE m.metric = p_metric),
               coalesce(q.limit_quantity, f.included), coalesce(q.cap, f.cap, 'none'), q.grace_until, get_window_usage(p_tenant, p_metric), 0,
               p_quantity, now()) d
$$;

COMMENT ON FUNCTION quota_verdict IS
    'Whether a tenant may use so much more of a metric now: allow, allow_over or deny, and the reason.';
