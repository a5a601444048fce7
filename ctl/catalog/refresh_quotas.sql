-- Bring every tenant that has quotas in line with the catalog. Returns how many there are.
SELECT count(*)
  FROM (SELECT DISTINCT tenant FROM usage_quotas) AS t
 CROSS JOIN LATERAL refresh_usage_quotas(t.tenant)
