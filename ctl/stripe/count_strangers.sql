-- How many customers at Stripe there are that nothing says the tenant of.
SELECT count(*) FROM stripe_customers WHERE tenant IS NULL AND deleted_at IS NULL
