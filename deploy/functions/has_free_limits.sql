-- Whether a tenant has the limits of the plan free though nothing was written for it: it has no quotas yet. One whose own
-- plan limits nothing has no quotas for ever, and is not limited.
CREATE OR REPLACE FUNCTION has_free_limits(p_tenant text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT NOT EXISTS (SELECT FROM usage_quotas q WHERE q.tenant = p_tenant)
           AND coalesce((deciding_subscription(p_tenant)).plan, 'free') = 'free'
$$;

COMMENT ON FUNCTION has_free_limits IS 'Whether a tenant without quotas has the limits of the plan free.';
