-- Locks those tenants of a page that are about to be refreshed, always in the same order, so that nobody deadlocks.
-- $1 jsonb: array of tenants
-- $2 boolean: all of them; false: only those without quotas
SELECT pg_advisory_xact_lock(hashtextextended('meterline tenant ' || t.tenant, 0))
  FROM (SELECT tenant FROM jsonb_array_elements_text($1::jsonb) AS x (tenant) ORDER BY tenant COLLATE "C") t
 WHERE $2::boolean OR NOT EXISTS (SELECT FROM usage_quotas q WHERE q.tenant = t.tenant)
