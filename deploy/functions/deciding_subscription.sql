-- The subscription that decides a tenant's plan: the one with the best standing, then the newest.
CREATE OR REPLACE FUNCTION deciding_subscription(p_tenant text) RETURNS subscriptions
LANGUAGE sql STABLE AS $$
    SELECT * FROM subscriptions
     WHERE tenant = p_tenant AND status NOT IN ('canceled', 'incomplete', 'incomplete_expired')
     ORDER BY CASE status WHEN 'active' THEN 0 WHEN 'trialing' THEN 0 WHEN 'past_due' THEN 1 ELSE 2 END,
              started_at DESC, stripe_subscription_id
     LIMIT 1
$$;

COMMENT ON FUNCTION deciding_subscription IS 'The subscription that decides a tenant''s plan.';
