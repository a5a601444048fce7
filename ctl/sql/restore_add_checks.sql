-- Whom to compare with Stripe: all that it may hold something of.
-- $1 int8: sink_hold, $2 uuid: owner
insert into restore_checks (tenant, hold, owner)
select tenant, $1::int8, $2::uuid
  from (select tenant from billing_customers union select tenant from usage_submissions) as n
    on conflict (tenant) do nothing
