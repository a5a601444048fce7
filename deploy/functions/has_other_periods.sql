-- Whether the observations of a subscription tell of periods otherwise than they are stored.
CREATE OR REPLACE FUNCTION has_other_periods(p_subscription text, p_tenant text) RETURNS boolean
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    RETURN (
    WITH told AS (SELECT * FROM told_periods(p_subscription))
    SELECT EXISTS (SELECT FROM told t
                    WHERE NOT EXISTS (SELECT FROM billing_periods b
                                       WHERE b.tenant = p_tenant AND b.stripe_subscription_id = p_subscription
                                         AND b.period_start = t.period_start AND b.period_end = t.period_end))
           OR EXISTS (SELECT FROM billing_periods b
                       WHERE b.tenant = p_tenant AND b.stripe_subscription_id = p_subscription
                         AND b.period_end > (SELECT min(t.period_start) FROM told t)
                         AND NOT EXISTS (SELECT FROM told t WHERE t.period_start = b.period_start)));
END $$;

COMMENT ON FUNCTION has_other_periods IS 'Whether the observations of a subscription tell of periods otherwise than stored.';
