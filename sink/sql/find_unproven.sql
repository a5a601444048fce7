-- The next tenant to compare with Stripe, since something of it is held that was not compared since a restore, and how
-- many there are. Where Stripe holds something, a person goes on; it is looked at again an hour later. Where something is
-- under way, or Stripe has no meter, it is a minute. Nobody is compared within an hour of the restore: Stripe's figures come
-- late.
-- $1 text: tenant after which to go on; the count is told by the first of a round alone, with ''
SELECT (SELECT b.tenant
          FROM billing_customers b
         WHERE b.tenant > $1
           AND (SELECT proof_needed_before() < now() - interval '1 hour')
           AND NOT EXISTS (SELECT FROM reconcile_runs r
                            WHERE r.tenant = b.tenant AND r.reason = 'unproven' AND r.beat_at > now() - interval '1 minute')
           AND EXISTS (SELECT FROM restore_unproven n
                        WHERE n.tenant = b.tenant AND n.is_held
                          AND NOT EXISTS (SELECT FROM usage_drift d
                                           WHERE d.tenant = n.tenant AND d.metric = n.metric
                                             AND d.stripe_customer_id = n.stripe_customer_id
                                             AND d.period_start = n.period_start AND d.drift_units <> 0
                                             AND d.checked_at > now() - interval '1 hour')
                       OFFSET 0)   -- so that one tenant after the other is looked at
         ORDER BY b.tenant
         LIMIT 1) AS tenant,
       CASE WHEN $1 = '' THEN (SELECT count(DISTINCT n.tenant) FROM restore_unproven n WHERE n.is_held) END AS tenants
