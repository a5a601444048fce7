-- Has anything of a tenant ever been heard, or set for it?
CREATE OR REPLACE FUNCTION is_known_tenant(p_tenant text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM billing_customers WHERE tenant = p_tenant)
        OR EXISTS (SELECT FROM subscriptions WHERE tenant = p_tenant)
        OR EXISTS (SELECT FROM usage_totals WHERE tenant = p_tenant)
        OR EXISTS (SELECT FROM usage_quotas WHERE tenant = p_tenant)
        OR EXISTS (SELECT FROM tenant_limits WHERE tenant = p_tenant)
        OR EXISTS (SELECT FROM alert_settings WHERE tenant = p_tenant)
        OR EXISTS (SELECT FROM billing_history WHERE tenant = p_tenant)
$$;

COMMENT ON FUNCTION is_known_tenant IS 'Whether anything of a tenant was ever heard, or set for it.';
