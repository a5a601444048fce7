-- Puts into the outbox that an invoice could not be paid, wants the customer to act, or could not be made final. It is
-- told once for each attempt, and only while it is so: nothing of an attempt that a later one followed, or of an invoice
-- that was paid or voided meanwhile. Stripe keeps events for 30 days, so nothing older is news.
CREATE OR REPLACE FUNCTION tell_invoices(p_invoices text[]) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    PERFORM add_message(m.kind, m.key, m.tenant, m.whole || m.more, m.at)
       FROM (SELECT i.tenant, k.kind, concat_ws(' ', i.stripe_invoice_id, k.place) AS key, o.created_at AS at,
                    jsonb_build_object('invoice', i.stripe_invoice_id, 'number', i.number, 'customer', i.stripe_customer_id,
                                       'subscription', i.stripe_subscription_id, 'currency', i.currency,
                                       'amount_due_minor', coalesce(i.amount_remaining_minor, i.amount_due_minor)) AS whole,
                    k.more
               FROM unnest(p_invoices) u (id)
               JOIN invoices i ON i.stripe_invoice_id = u.id AND i.status IN ('draft', 'open', 'uncollectible')
              CROSS JOIN LATERAL (VALUES
                    ('payment_failed', 'invoice.payment_failed', i.status <> 'draft', i.attempt_count::text,
                     jsonb_build_object('attempt', i.attempt_count, 'next_attempt_at', i.next_payment_attempt)),
                    ('payment_action_required', 'invoice.payment_action_required', i.status = 'open',
                     i.attempt_count::text, jsonb_build_object('attempt', i.attempt_count)),
                    ('invoice_finalization_failed', 'invoice.finalization_failed', i.status = 'draft',
                     i.finalization_error, jsonb_build_object('error', i.finalization_error)))
                    AS k (kind, type, is_so, place, more)
              CROSS JOIN LATERAL (SELECT min(y.created_at) AS created_at FROM stripe_observations y
                                   WHERE y.object_id = u.id AND y.type = k.type
                                     AND coalesce(y.facts ->> 'finalization_error', '') = coalesce(i.finalization_error, '')
                                     AND (y.facts ->> 'attempt_count')::bigint IS NOT DISTINCT FROM i.attempt_count) o
              WHERE k.is_so AND o.created_at > now() - interval '30 days'
              ORDER BY i.stripe_invoice_id, k.kind) m;
END $$;

COMMENT ON FUNCTION tell_invoices IS 'Puts into the outbox what is wrong with invoices.';
