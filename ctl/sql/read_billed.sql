-- Is anything billed through Stripe?
select (exists (select from billing_customers where deleted_at is null)
        and exists (select from metrics where transport <> 'none'))
       or exists (select from usage_submissions where state <> 'void')
