-- Tenants whose billing periods changed after a version.
-- $1 int8 periods_version that is known
SELECT tenant FROM billing_period_changes WHERE version > $1
