-- Bring every tenant that has quotas in line with the catalog. Returns how many there are.
select count(refresh_usage_quotas(tenant)::text)
  from (select distinct tenant from usage_quotas) as t
