-- active, grace (a payment failed lately) or blocked.
CREATE OR REPLACE FUNCTION tenant_status(p_tenant text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN s.status IN ('active', 'trialing') OR s.status IS NULL THEN 'active'
        WHEN s.status = 'past_due' AND now() < coalesce(s.past_due_since, s.updated_at) + payment_grace() THEN 'grace'
        ELSE 'blocked' END
      FROM deciding_subscription(p_tenant) s
$$;

COMMENT ON FUNCTION tenant_status IS 'A tenant''s standing: active, grace (payment failed lately) or blocked.';
