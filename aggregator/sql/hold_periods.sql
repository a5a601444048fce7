-- Billing periods stand still until this transaction ends; ML002 if they are not those that are known.
-- $1 int8 periods_version
SELECT hold_billing_periods($1)
