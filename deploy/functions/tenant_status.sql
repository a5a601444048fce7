-- active, grace (a payment failed lately) or blocked.
CREATE OR REPLACE FUNCTION tenant_status(p_tenant text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT standing_of(s) FROM deciding_subscription(p_tenant) s
$$;

COMMENT ON FUNCTION tenant_status IS 'A tenant''s standing: active, grace (payment failed lately) or blocked.';
