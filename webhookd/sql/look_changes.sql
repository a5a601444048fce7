-- Some of the tenants whose limits changed, as one JSON array; the same with the number of each change; how many there
-- are; and the version of the catalog.
-- $1 bigint: the most tenants
SELECT coalesce(jsonb_agg(tenant), '[]')::text AS tenants,
       coalesce(jsonb_agg(jsonb_build_array(tenant, number)), '[]')::text AS notes, count(*) AS tenants_count,
       (SELECT value FROM ledger_state WHERE name = 'catalog_version') AS catalog_version
  FROM (SELECT tenant, number FROM limit_changes ORDER BY number LIMIT $1::bigint) AS c
