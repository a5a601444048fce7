-- Bring every tenant that has quotas in line with the catalog. Returns how many there are.
select count(*)
  from (select distinct tenant from usage_quotas) as t
 cross join lateral refresh_usage_quotas(t.tenant)
