-- Units that are counted and in no submission, by metric, by why (as in usage_unbilled; contested, which is unmapped there,
-- is a fault in any case) and by how long ago their total last changed. Of periods that are open or ended up to 35 days ago: Stripe takes nothing older, and the index leads past
-- it. What a subscription's period is, is asked only where no stored one tells. What is to be taken back counts as well.
WITH rest AS MATERIALIZED (
    SELECT t.tenant, t.metric, t.period_start, t.period_end, m.transport, m.aggregation IN ('sum', 'count') AS additive,
           CASE WHEN m.aggregation IN ('sum', 'count') THEN floor(t.quantity) - coalesce(c.claimed, 0)
                ELSE floor(t.quantity) END AS units,
           now() - t.updated_at AS age
      FROM usage_totals t
      JOIN metrics m ON m.metric = t.metric AND m.transport <> 'none'
      LEFT JOIN usage_claims c ON c.tenant = t.tenant AND c.metric = t.metric AND c.period_start = t.period_start
     WHERE t.period_end > now() - interval '35 days' AND floor(t.quantity) <> coalesce(c.claimed, 0)
), told AS (
    SELECT r.*, CASE WHEN b.contested_since IS NOT NULL THEN 'contested'
                     WHEN b.tenant IS NULL THEN 'unmapped'
                     WHEN NOT r.additive AND abs(r.units) > 999999999999999 THEN 'too_large'
                     WHEN s.id IS NULL AND is_subscriber(r.tenant) THEN 'before_subscription'
                     WHEN r.transport = 'usage_records' AND NOT EXISTS (
                          SELECT FROM subscription_items i
                           WHERE i.stripe_subscription_id = s.id AND i.metric = r.metric) THEN 'unmapped'
                     WHEN coalesce(r.period_start < (SELECT proof_needed_before()), false)
                          AND NOT is_proven(r.tenant, r.metric, b.stripe_customer_id, r.period_start, r.period_end,
                                            (SELECT proof_needed_before()))
                          THEN 'not_compared'
                     ELSE 'waiting' END AS reason,
           CASE WHEN r.age < interval '15 minutes' THEN 'under_15m' WHEN r.age < interval '1 hour' THEN 'under_1h'
                WHEN r.age < interval '1 day' THEN 'under_1d' ELSE 'over_1d' END AS bucket
      FROM rest r
      LEFT JOIN billing_customers b ON b.tenant = r.tenant AND b.deleted_at IS NULL
      LEFT JOIN billing_periods e ON e.tenant = r.tenant AND e.period_start = r.period_start
     CROSS JOIN LATERAL (
          SELECT CASE WHEN e.stripe_subscription_id IS NOT NULL THEN e.stripe_subscription_id
                      WHEN EXISTS (SELECT FROM subscriptions x WHERE x.tenant = r.tenant)
                      THEN (SELECT g.stripe_subscription_id FROM billing_period(r.tenant, r.period_start) AS g)
                 END AS id) AS s
)
SELECT metric, reason, bucket, least(sum(abs(units)), 9223372036854775807)::int8 AS units
  FROM told
 GROUP BY metric, reason, bucket
