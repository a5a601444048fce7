-- What a tenant's deciding subscription (all NULL: there is none) makes of it: active, grace (a payment failed lately) or
-- blocked. While collecting is paused, the catalog decides.
CREATE OR REPLACE FUNCTION standing_of(s subscriptions) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN s.status IN ('active', 'trialing') AND s.collection_paused IS NOT NULL
             AND (s.collection_resumes_at > now()) IS NOT FALSE
             AND EXISTS (SELECT FROM ledger_state WHERE name = 'blocks_paused' AND value = 1) THEN 'blocked'
        WHEN s.status IN ('active', 'trialing') OR s.status IS NULL THEN 'active'
        WHEN s.status = 'past_due' AND now() < coalesce(s.past_due_since, s.updated_at) + payment_grace() THEN 'grace'
        ELSE 'blocked' END
$$;

COMMENT ON FUNCTION standing_of IS 'What a subscription makes of its tenant: active, grace (payment failed lately) or blocked.';
