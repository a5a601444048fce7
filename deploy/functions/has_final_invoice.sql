-- Whether the invoice of the period that ends then can no longer change.
CREATE OR REPLACE FUNCTION has_final_invoice(p_tenant text, p_subscription text, p_period_end timestamptz) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM invoices i
                    WHERE i.tenant = p_tenant AND i.stripe_subscription_id = p_subscription
                      AND i.finalized_at IS NOT NULL AND i.status <> 'void'
                      AND i.period_start < i.period_end AND minute_of(i.period_end) = p_period_end)
$$;

COMMENT ON FUNCTION has_final_invoice IS 'Whether the invoice of the period that ends then can change no more.';
