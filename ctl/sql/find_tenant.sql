-- Whether any table has this tenant. $1 text: the tenant
select exists (select from billing_customers where tenant = $1::text)
    or exists (select from subscriptions where tenant = $1::text)
    or exists (select from usage_totals where tenant = $1::text)
    or exists (select from usage_aggregates where tenant = $1::text)
    or exists (select from usage_submissions where tenant = $1::text)
    or exists (select from usage_quotas where tenant = $1::text)
    or exists (select from tenant_limits where tenant = $1::text)
    or exists (select from rejected_events where tenant = $1::text)
    or exists (select from billing_history where tenant = $1::text)
    -- What was counted just now, and is in no minute yet.
    or exists (select from usage_pending where $1::text = any (tenants))
    or exists (select from usage_pending p join usage_batches b using (batch)
                where p.from_raw and b.slice = tenant_slice($1::text) and $1::text = any (b.tenants))
