-- The verdict: may a tenant use so much more of a metric? One rule, which also stands in common/verdict.c and, for
-- Redis, in webhookd/lua/verdict.lua. p_limit: of the plan; NULL is unlimited. Without a cap the limit says nothing.
CREATE OR REPLACE FUNCTION decide_quota(p_status text, p_is_known boolean, p_limit numeric, p_cap text,
                                        p_grace_until timestamptz, p_used numeric, p_held numeric, p_quantity numeric,
                                        p_at timestamptz)
RETURNS TABLE (verdict text, reason text) LANGUAGE sql IMMUTABLE AS $$
    SELECT v.verdict,
           CASE v.verdict
               WHEN 'allow' THEN CASE p_status WHEN 'grace' THEN 'grace' ELSE 'ok' END
               WHEN 'allow_over' THEN CASE p_cap WHEN 'soft' THEN 'soft_cap' ELSE 'grace' END
               ELSE CASE WHEN p_status = 'blocked' THEN 'blocked' WHEN NOT p_is_known THEN 'unknown_metric'
                         ELSE 'hard_cap' END END
      FROM (SELECT CASE WHEN p_status = 'blocked' OR NOT p_is_known THEN 'deny'
                        WHEN p_limit IS NULL OR p_cap = 'none' OR p_used + p_held + p_quantity <= p_limit THEN 'allow'
                        WHEN p_cap = 'soft' OR coalesce(p_at < p_grace_until, false) THEN 'allow_over'
                        ELSE 'deny' END AS verdict) v
$$;

COMMENT ON FUNCTION decide_quota IS
    'The verdict on a use of a metric (allow, allow_over or deny) and its reason, from the quota alone.';
