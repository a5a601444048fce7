-- The next tenant to compare with Stripe, since something of it is held that was not compared since a restore, and how
-- many there are. Where Stripe holds something, a person goes on; it is looked at again an hour later. Nobody is compared
-- within an hour of the restore: Stripe's figures come late.
-- $1 text: tenant after which to go on
SELECT min(n.tenant) FILTER (WHERE n.tenant > $1
           AND (SELECT restored_at < now() - interval '1 hour' FROM ledger_restore)
           AND NOT EXISTS (SELECT FROM usage_drift d
                            WHERE d.tenant = n.tenant AND d.metric = n.metric
                              AND d.stripe_customer_id = n.stripe_customer_id
                              AND d.period_start = n.period_start AND d.drift_units <> 0
                              AND d.checked_at > now() - interval '1 hour')) AS tenant,
       count(DISTINCT n.tenant) AS tenants
  FROM restore_unproven n
 WHERE n.is_held
