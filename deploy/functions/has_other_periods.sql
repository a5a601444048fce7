-- Whether the observations of a subscription tell of periods otherwise than they are stored.
CREATE OR REPLACE FUNCTION has_other_periods(p_subscription text, p_tenant text) RETURNS boolean
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    RETURN (
    WITH told AS (SELECT * FROM told_periods(p_subscription))
    -- Never by the index of all that end then or later, also before the table was ever analyzed.
    SELECT EXISTS (SELECT FROM told t
                    WHERE (SELECT (b.stripe_subscription_id, b.period_end) = (p_subscription, t.period_end)
                             FROM billing_periods b
                            WHERE b.tenant = p_tenant AND b.period_start = t.period_start) IS NOT TRUE)
           OR EXISTS (SELECT FROM (SELECT x.* FROM billing_periods x WHERE x.tenant = p_tenant OFFSET 0) b
                       WHERE b.stripe_subscription_id = p_subscription
                         AND b.period_end > (SELECT min(t.period_start) FROM told t)
                         AND NOT EXISTS (SELECT FROM told t WHERE t.period_start = b.period_start)));
END $$;

COMMENT ON FUNCTION has_other_periods IS 'Whether the observations of a subscription tell of periods otherwise than stored.';
