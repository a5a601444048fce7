-- Stores a tenant's billing periods, and makes its totals exact where an edge moved.
-- $1 text: tenant
SELECT refresh_billing_periods($1::text)
