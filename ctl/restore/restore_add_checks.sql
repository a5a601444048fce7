-- List the tenants to compare with Stripe: all of whom Stripe may hold something. While sinks are not held: those with
-- something that was not compared since the restore.
-- $1 int8: sink_hold, $2 uuid: owner
INSERT INTO restore_checks (tenant, hold, owner)
SELECT tenant, $1::int8, $2::uuid
  FROM (SELECT tenant FROM billing_customers WHERE $1::int8 <> 0
         UNION
        SELECT tenant FROM usage_submissions WHERE $1::int8 <> 0
         UNION
        SELECT tenant FROM restore_unproven WHERE $1::int8 = 0) AS n
    ON CONFLICT (tenant) DO NOTHING
