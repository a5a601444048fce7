-- Tenants that were billed, and whose customer is gone: nothing of theirs is claimed any more. One that Stripe deleted is kept
-- with the time. At most 10.
select s.tenant, min(s.stripe_customer_id) as stripe_customer_id
  from usage_submissions s
 where s.state <> 'void'
   and not exists (select from billing_customers b where b.tenant = s.tenant)
 group by s.tenant
 order by s.tenant
 limit 10
