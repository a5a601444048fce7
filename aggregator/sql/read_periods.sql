-- The billing period of each tenant and minute, in the order asked.
-- $1 text[] tenants; $2 timestamptz[] minutes
SELECT b.period_start, b.period_end
  FROM unnest($1::text[], $2::timestamptz[]) WITH ORDINALITY AS k (tenant, at, n)
 CROSS JOIN LATERAL billing_period(k.tenant, k.at) b
 ORDER BY k.n
