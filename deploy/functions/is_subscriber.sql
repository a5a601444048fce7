-- Whether the tenant has or had a subscription.
CREATE OR REPLACE FUNCTION is_subscriber(p_tenant text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM subscriptions x
                    WHERE x.tenant = p_tenant AND x.status NOT IN ('incomplete', 'incomplete_expired'))
$$;

COMMENT ON FUNCTION is_subscriber IS 'Whether the tenant has or had a subscription.';
