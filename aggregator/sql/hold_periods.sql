-- Billing periods stand still until this transaction ends; ML002 if the tenants' are not those that are known.
-- $1 int8 periods_version; $2 text[] tenants, any number of times
SELECT hold_billing_periods($1, $2)
