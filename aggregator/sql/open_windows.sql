-- Open the windows of now that the limits of some tenants count over, if they are not the billing period.
-- $1 text[] tenants
SELECT open_usage_windows($1::text[])
