-- The period that a submission counts for: the one that its usage_at is billed to, or its own period if it was carried
-- over.
CREATE OR REPLACE FUNCTION submission_period(p_tenant text, p_usage_at timestamptz, p_period_start timestamptz,
                                             p_carried boolean, OUT period_start timestamptz, OUT period_end timestamptz)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    SELECT b.period_start, b.period_end INTO period_start, period_end
      FROM billing_period(p_tenant, CASE WHEN p_carried THEN p_period_start ELSE p_usage_at END) b;
    -- Only in the first minute of a period may Stripe's exact edge lie behind usage_at.
    IF NOT p_carried AND p_usage_at = period_start AND p_usage_at < billed_since(p_tenant, p_usage_at) THEN
        SELECT b.period_start, b.period_end INTO period_start, period_end
          FROM billing_period(p_tenant, period_start - interval '1 minute') b;
    END IF;
END $$;

COMMENT ON FUNCTION submission_period IS 'The billing period that a submission counts for.';
