-- The subscription that decides a tenant's plan (all NULL: there is none): the one with the best standing, then the newest.
CREATE OR REPLACE FUNCTION deciding_subscription(p_tenant text) RETURNS subscriptions
LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
DECLARE
    s subscriptions;
BEGIN
    SELECT * INTO s FROM subscriptions
     WHERE tenant = p_tenant AND status NOT IN ('canceled', 'incomplete', 'incomplete_expired')
     ORDER BY CASE status WHEN 'active' THEN 0 WHEN 'trialing' THEN 0 WHEN 'past_due' THEN 1 ELSE 2 END,
              started_at DESC, stripe_subscription_id
     LIMIT 1;
    RETURN s;
END $$;

COMMENT ON FUNCTION deciding_subscription IS 'The subscription that decides a tenant''s plan.';
