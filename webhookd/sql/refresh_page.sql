-- Makes the quotas of a page of tenants those of the catalog.
-- $1 jsonb: array of tenants
-- $2 boolean: all of them; false: only those without quotas
SELECT refresh_quotas_of(ARRAY(
    SELECT t.tenant FROM jsonb_array_elements_text($1::jsonb) AS t (tenant)
     WHERE $2::boolean OR NOT EXISTS (SELECT FROM usage_quotas q WHERE q.tenant = t.tenant)))
