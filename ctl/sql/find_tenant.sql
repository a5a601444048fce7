-- Whether any table has this tenant. $1 text: the tenant
SELECT EXISTS (SELECT FROM billing_customers WHERE tenant = $1::text)
    OR EXISTS (SELECT FROM subscriptions WHERE tenant = $1::text)
    OR EXISTS (SELECT FROM usage_totals WHERE tenant = $1::text)
    OR EXISTS (SELECT FROM usage_aggregates WHERE tenant = $1::text)
    OR EXISTS (SELECT FROM usage_submissions WHERE tenant = $1::text)
    OR EXISTS (SELECT FROM usage_quotas WHERE tenant = $1::text)
    OR EXISTS (SELECT FROM tenant_limits WHERE tenant = $1::text)
    OR EXISTS (SELECT FROM rejected_events WHERE tenant = $1::text)
    OR EXISTS (SELECT FROM billing_history WHERE tenant = $1::text)
    -- What was counted just now, and is in no minute yet.
    OR EXISTS (SELECT FROM usage_pending WHERE $1::text = ANY (tenants))
    OR EXISTS (SELECT FROM usage_pending p JOIN usage_batches b USING (batch)
                WHERE p.from_raw AND b.slice = tenant_slice($1::text) AND $1::text = ANY (b.tenants))
