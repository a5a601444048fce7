-- Makes checkout sessions what their newest observations say.
CREATE OR REPLACE FUNCTION store_checkouts(p_sessions text[]) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    INSERT INTO checkout_sessions AS s (
           stripe_session_id, tenant, stripe_customer_id, stripe_subscription_id, stripe_invoice_id, status, payment_status,
           mode, client_reference_id, currency, amount_total_minor, created_at, expires_at)
    SELECT o.object_id, c.tenant, o.customer_id, o.facts ->> 'stripe_subscription_id', o.facts ->> 'stripe_invoice_id',
           o.status, o.facts ->> 'payment_status', o.facts ->> 'mode', o.facts ->> 'client_reference_id',
           o.facts ->> 'currency', (o.facts ->> 'amount_total_minor')::bigint, fact_time(o.facts, 'created_at'),
           fact_time(o.facts, 'expires_at')
      FROM unnest(p_sessions) x (id)
     CROSS JOIN LATERAL (SELECT y.* FROM stripe_observations y
                          WHERE y.object_id = x.id AND y.kind = 'checkout' AND y.is_last
                          ORDER BY y.created_at DESC, y.event_id LIMIT 1) o
      JOIN stripe_customers c ON c.stripe_customer_id = o.customer_id AND c.tenant IS NOT NULL
    ON CONFLICT (stripe_session_id) DO UPDATE
       SET tenant = excluded.tenant, stripe_customer_id = excluded.stripe_customer_id,
           stripe_subscription_id = excluded.stripe_subscription_id, stripe_invoice_id = excluded.stripe_invoice_id,
           status = excluded.status, payment_status = excluded.payment_status, mode = excluded.mode,
           client_reference_id = excluded.client_reference_id, currency = excluded.currency,
           amount_total_minor = excluded.amount_total_minor, created_at = excluded.created_at,
           expires_at = excluded.expires_at, updated_at = now();
END $$;

COMMENT ON FUNCTION store_checkouts IS 'Makes checkout sessions what their newest observations say.';
