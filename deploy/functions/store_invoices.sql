-- Makes invoices what their newest observations say.
CREATE OR REPLACE FUNCTION store_invoices(p_invoices text[]) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    INSERT INTO invoices AS i (
           stripe_invoice_id, tenant, stripe_customer_id, stripe_subscription_id, status, currency, amount_due_minor,
           amount_paid_minor, amount_remaining_minor, subtotal_minor, total_minor, tax_minor, number, billing_reason,
           collection_method, attempt_count, next_payment_attempt, due_at, created_at, period_start, period_end,
           finalized_at, paid_at, finalization_error, event_created)
    SELECT o.object_id, c.tenant, o.customer_id, o.facts ->> 'stripe_subscription_id',
           CASE WHEN o.is_final THEN 'deleted' ELSE o.status END, o.facts ->> 'currency',
           coalesce((o.facts ->> 'amount_due_minor')::bigint, 0), coalesce((o.facts ->> 'amount_paid_minor')::bigint, 0),
           (o.facts ->> 'amount_remaining_minor')::bigint, (o.facts ->> 'subtotal_minor')::bigint,
           (o.facts ->> 'total_minor')::bigint, (o.facts ->> 'tax_minor')::bigint, o.facts ->> 'number',
           o.facts ->> 'billing_reason', o.facts ->> 'collection_method', (o.facts ->> 'attempt_count')::bigint,
           fact_time(o.facts, 'next_payment_attempt'), fact_time(o.facts, 'due_at'), fact_time(o.facts, 'created_at'),
           fact_time(o.facts, 'period_start'), fact_time(o.facts, 'period_end'), fact_time(o.facts, 'finalized_at'),
           fact_time(o.facts, 'paid_at'), o.facts ->> 'finalization_error', n.newest
      FROM unnest(p_invoices) x (id)
     CROSS JOIN LATERAL (SELECT y.* FROM stripe_observations y
                          WHERE y.object_id = x.id AND y.kind = 'invoice' AND y.is_last
                          ORDER BY y.is_final DESC, y.created_at DESC, y.event_id LIMIT 1) o
     CROSS JOIN LATERAL (SELECT max(y.created_at) AS newest FROM stripe_observations y
                          WHERE y.object_id = x.id AND y.event_id <> '') n
      JOIN stripe_customers c ON c.stripe_customer_id = o.customer_id AND c.tenant IS NOT NULL
    ON CONFLICT (stripe_invoice_id) DO UPDATE
       SET tenant = excluded.tenant, stripe_customer_id = excluded.stripe_customer_id,
           stripe_subscription_id = excluded.stripe_subscription_id, status = excluded.status,
           currency = excluded.currency, amount_due_minor = excluded.amount_due_minor,
           amount_paid_minor = excluded.amount_paid_minor, amount_remaining_minor = excluded.amount_remaining_minor,
           subtotal_minor = excluded.subtotal_minor, total_minor = excluded.total_minor, tax_minor = excluded.tax_minor,
           number = excluded.number, billing_reason = excluded.billing_reason,
           collection_method = excluded.collection_method, attempt_count = excluded.attempt_count,
           next_payment_attempt = excluded.next_payment_attempt, due_at = excluded.due_at,
           created_at = excluded.created_at, period_start = excluded.period_start, period_end = excluded.period_end,
           finalized_at = excluded.finalized_at, paid_at = excluded.paid_at,
           finalization_error = excluded.finalization_error, event_created = excluded.event_created, updated_at = now();
END $$;

COMMENT ON FUNCTION store_invoices IS 'Makes invoices what their newest observations say.';
