-- A page of tenants as one JSON array, the first one '', which is the plan free; the last of them; how many there are;
-- and the version of the catalog.
-- $1 text: after this tenant; NULL for the first page
-- $2 bigint: the most tenants of a page
SELECT coalesce(jsonb_agg(tenant ORDER BY tenant), '[]')::text AS tenants,
       coalesce(max(tenant), '') AS last, count(*) AS tenants_count,
       (SELECT value FROM ledger_state WHERE name = 'catalog_version') AS catalog_version
  FROM (SELECT '' COLLATE "C" AS tenant WHERE $1::text IS NULL
        UNION ALL
        SELECT tenant FROM list_tenants(coalesce($1::text, ''), $2::bigint - ($1::text IS NULL)::int)) page
