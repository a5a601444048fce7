-- Locks the tenants of a page that are about to be refreshed, in one order everywhere.
-- $1 jsonb: array of tenants
-- $2 boolean: all of them, else those without quotas
select pg_advisory_xact_lock(hashtextextended('meterline tenant ' || t.tenant, 0))
  from (select tenant from jsonb_array_elements_text($1::jsonb) as x (tenant) order by tenant collate "C") t
 where $2::boolean or not exists (select from usage_quotas q where q.tenant = t.tenant)
