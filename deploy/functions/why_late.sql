-- Why usage of that minute comes too late for its invoice, or NULL. Stripe refuses meter events older than 35 days,
-- and bills none to a period whose invoice is final. Some transports take nothing once the period is over. An invoice
-- becomes final about an hour after its period ends, so usage of the last hour is not examined.
CREATE OR REPLACE FUNCTION why_late(p_tenant text, p_at timestamptz, p_ends_with_period boolean) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    p record;
BEGIN
    IF p_at < now() - interval '34 days' THEN
        RETURN 'its usage is older than 34 days';
    END IF;
    IF NOT p_ends_with_period AND p_at > now() - interval '1 hour' THEN
        RETURN NULL;
    END IF;
    SELECT * INTO p FROM billing_period(p_tenant, p_at);
    IF p.period_end > now() THEN
        RETURN NULL;
    END IF;
    IF p_ends_with_period THEN
        RETURN 'its billing period is over';
    END IF;
    IF has_final_invoice(p_tenant, p.stripe_subscription_id, p.period_end) THEN
        RETURN 'the invoice of its billing period is final';
    END IF;
    RETURN NULL;
END $$;

COMMENT ON FUNCTION why_late IS 'Why usage of that minute comes too late for its invoice; NULL: it does not.';
