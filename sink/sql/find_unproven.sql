-- The next tenant to compare with Stripe, since something of it is held that was not compared since a restore, and how
-- many there are. Where Stripe holds something, a person goes on; it is looked at again an hour later. Nobody is compared
-- within an hour of the restore: Stripe's figures come late.
-- $1 text: tenant after which to go on
select min(n.tenant) filter (where n.tenant > $1
           and (select restored_at < now() - interval '1 hour' from ledger_restore)
           and not exists (select from usage_drift d
                            where d.tenant = n.tenant and d.metric = n.metric
                              and d.stripe_customer_id = n.stripe_customer_id
                              and d.period_start = n.period_start and d.drift_units <> 0
                              and d.checked_at > now() - interval '1 hour')) as tenant,
       count(distinct n.tenant) as tenants
  from restore_unproven n
 where n.is_held
