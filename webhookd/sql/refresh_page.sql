-- Brings the quotas of a page of tenants in line with the catalog.
-- $1 jsonb: array of tenants
-- $2 boolean: all of them, else those without quotas
select refresh_usage_quotas(t.tenant)
  from (select tenant from jsonb_array_elements_text($1::jsonb) as x (tenant) order by tenant collate "C") t
 where $2::boolean or not exists (select from usage_quotas q where q.tenant = t.tenant)
