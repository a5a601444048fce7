-- Makes payments what the newest observations of their parts say: of charges, payment intents, invoice payments and
-- refunds that have the same payment intent, else the same charge. One that was refunded stays succeeded; what was paid
-- back stands beside it.
CREATE OR REPLACE FUNCTION store_payments(p_payments text[]) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    WITH parts AS MATERIALIZED (
        SELECT DISTINCT ON (g.id, o.object_id) g.id, o.object_id, o.kind, o.status, o.customer_id, o.parent_id,
               o.created_at, o.facts, (o.facts ->> 'amount_minor')::bigint AS amount,
               o.status IN ('succeeded', 'paid') AS is_good
          FROM unnest(p_payments) g (id)
         CROSS JOIN LATERAL (SELECT x.* FROM stripe_observations x WHERE x.object_id = g.id AND x.is_last
                             UNION ALL
                             SELECT x.* FROM stripe_observations x
                              WHERE x.group_id = g.id AND x.group_id <> x.object_id AND x.is_last) o
         WHERE o.kind IN ('charge', 'payment_intent', 'invoice_payment', 'refund')
         ORDER BY g.id, o.object_id, o.created_at DESC, o.event_id
    ), charges AS (
        SELECT DISTINCT ON (id) * FROM parts WHERE kind = 'charge'
         ORDER BY id, is_good DESC, fact_time(facts, 'created_at') DESC, object_id
    ), named AS MATERIALIZED (
        SELECT g.id, n.*
          FROM (SELECT DISTINCT u.id FROM unnest(p_payments) u (id)) g
         CROSS JOIN LATERAL (SELECT min(o.customer_id) AS customer, min(o.parent_id) AS invoice
                               FROM (SELECT x.customer_id, x.parent_id FROM stripe_observations x WHERE x.object_id = g.id
                                     UNION ALL
                                     SELECT x.customer_id, x.parent_id FROM stripe_observations x
                                      WHERE x.group_id = g.id AND x.group_id <> x.object_id) o) n
    ), whole AS (
        SELECT p.id,
               coalesce(min(n.customer), payer_of(p.id)) AS customer,
               -- Newer versions of the API no longer tell it of charges, but an older one may have.
               min(n.invoice) AS invoice,
               min(p.facts ->> 'currency') AS currency,
               bool_or(p.is_good AND p.kind <> 'refund') AS is_good,
               bool_or(p.status = 'failed' AND p.kind = 'charge'
                       OR p.status = 'requires_payment_method' AND p.facts ? 'failure_code') AS is_failed,
               bool_or(p.status = 'canceled' AND p.kind = 'payment_intent') AS is_canceled,
               coalesce(min(c.amount) FILTER (WHERE c.is_good),
                        min(p.amount) FILTER (WHERE p.kind = 'invoice_payment' AND p.is_good),
                        min(p.amount) FILTER (WHERE p.kind = 'payment_intent'), min(c.amount),
                        min(p.amount) FILTER (WHERE p.kind = 'invoice_payment')) AS amount,
               coalesce(min(fact_time(p.facts, 'paid_at')) FILTER (WHERE p.is_good),
                        min(fact_time(c.facts, 'created_at')) FILTER (WHERE c.is_good),
                        min(date_trunc('second', p.created_at)) FILTER (WHERE p.is_good AND p.kind <> 'refund')) AS paid_at,
               coalesce(min(c.facts ->> 'failure_code'),
                        min(p.facts ->> 'failure_code') FILTER (WHERE p.kind = 'payment_intent')) AS failure_code,
               -- A refund that failed after the charge told of it was not paid back after all.
               greatest(coalesce(min((c.facts ->> 'refunded_minor')::bigint), 0)
                        - coalesce(sum(p.amount) FILTER (WHERE p.kind = 'refund' AND p.status IN ('failed', 'canceled')
                                                           AND p.created_at > c.created_at), 0),
                        coalesce(sum(p.amount) FILTER (WHERE p.kind = 'refund'
                                                         AND p.status NOT IN ('failed', 'canceled')), 0)) AS refunded
          FROM parts p
          LEFT JOIN charges c USING (id)
          JOIN named n USING (id)
         GROUP BY p.id
    )
    INSERT INTO payments AS p (stripe_payment_id, tenant, stripe_customer_id, stripe_invoice_id, status, currency,
                               amount_minor, refunded_minor, failure_code, paid_at)
    SELECT w.id, k.tenant, w.customer, w.invoice,
           CASE WHEN w.is_good THEN 'succeeded' WHEN w.is_canceled THEN 'canceled' WHEN w.is_failed THEN 'failed'
                ELSE 'pending' END,
           w.currency, w.amount, w.refunded, CASE WHEN NOT w.is_good THEN w.failure_code END, w.paid_at
      FROM whole w
      JOIN stripe_customers k ON k.stripe_customer_id = w.customer AND k.tenant IS NOT NULL
     WHERE w.amount IS NOT NULL AND w.currency IS NOT NULL
    ON CONFLICT (stripe_payment_id) DO UPDATE
       SET tenant = excluded.tenant, stripe_customer_id = excluded.stripe_customer_id,
           stripe_invoice_id = coalesce(excluded.stripe_invoice_id, p.stripe_invoice_id), status = excluded.status,
           currency = excluded.currency,
           amount_minor = excluded.amount_minor, refunded_minor = excluded.refunded_minor,
           failure_code = excluded.failure_code, paid_at = excluded.paid_at, updated_at = now();
END $$;

COMMENT ON FUNCTION store_payments IS 'Makes payments what the newest observations of their parts say.';
