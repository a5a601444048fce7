-- Tenants with usage to claim in a period that ended less than an hour ago, or ends soon. Calendar months have no
-- invoice.
-- $1 int8: how soon, ms
-- $2 text: tenant after which to go on
-- $3 int8: rows at most
SELECT p.tenant
  FROM billing_periods p
 WHERE p.period_end > now() - interval '1 hour' AND p.period_end <= now() + $1::int8 * interval '1 ms'
   AND p.tenant > $2
   AND EXISTS (SELECT FROM billing_customers b
                WHERE b.tenant = p.tenant AND b.deleted_at IS NULL AND b.contested_since IS NULL)
   AND EXISTS (SELECT
                 FROM metrics m
                 JOIN usage_totals t ON t.tenant = p.tenant AND t.metric = m.metric
                                    AND t.period_start = p.period_start
                 LEFT JOIN usage_claims c ON c.tenant = t.tenant AND c.metric = t.metric
                                         AND c.period_start = t.period_start
                WHERE m.transport <> 'none' AND t.version > coalesce(c.version, -1))
 GROUP BY p.tenant
 ORDER BY p.tenant
 LIMIT $3
