-- Whom to compare with Stripe: all that it may hold something of; while sinks are not held, those of whom something
-- was not compared since the restore.
-- $1 int8: sink_hold, $2 uuid: owner
insert into restore_checks (tenant, hold, owner)
select tenant, $1::int8, $2::uuid
  from (select tenant from billing_customers where $1::int8 <> 0
         union
        select tenant from usage_submissions where $1::int8 <> 0
         union
        select tenant from restore_unproven where $1::int8 = 0) as n
    on conflict (tenant) do nothing
