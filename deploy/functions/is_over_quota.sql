-- True if the limit is reached and a cap applies. False without a quota.
CREATE OR REPLACE FUNCTION is_over_quota(p_tenant text, p_metric text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT cap <> 'none' AND get_window_usage(p_tenant, p_metric) >= limit_quantity
                       FROM usage_quotas WHERE tenant = p_tenant AND metric = p_metric), false)
$$;

COMMENT ON FUNCTION is_over_quota IS 'Whether a tenant has reached its limit of a metric and a cap applies.';
