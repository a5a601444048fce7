-- A page of the tenants that have quotas, usage or a subscription, in order, as one JSON array, the first one '', which is
-- the plan free; the last of them; how many there are; and the version of the catalog. It skips from tenant to tenant in the
-- indexes. One whose plan limits nothing has no quotas, and before its first use no usage.
-- $1 text: after this tenant; NULL for the first page
-- $2 bigint: the most tenants of a page
WITH RECURSIVE used AS (
    SELECT (SELECT min(tenant) FROM usage_totals WHERE tenant > coalesce($1::text, '')) AS tenant
    UNION ALL
    SELECT (SELECT min(t.tenant) FROM usage_totals t WHERE t.tenant > used.tenant)
      FROM used WHERE used.tenant IS NOT NULL
), limited AS (
    SELECT (SELECT min(tenant) FROM usage_quotas WHERE tenant > coalesce($1::text, '')) AS tenant
    UNION ALL
    SELECT (SELECT min(q.tenant) FROM usage_quotas q WHERE q.tenant > limited.tenant)
      FROM limited WHERE limited.tenant IS NOT NULL
), subscribed AS (
    SELECT (SELECT min(tenant) FROM subscriptions WHERE tenant > coalesce($1::text, '')) AS tenant
    UNION ALL
    SELECT (SELECT min(s.tenant) FROM subscriptions s WHERE s.tenant > subscribed.tenant)
      FROM subscribed WHERE subscribed.tenant IS NOT NULL
), page AS (
    SELECT tenant
      FROM (SELECT '' COLLATE "C" AS tenant WHERE $1::text IS NULL
            UNION
            (SELECT tenant FROM used WHERE tenant IS NOT NULL LIMIT $2::bigint)
            UNION
            (SELECT tenant FROM limited WHERE tenant IS NOT NULL LIMIT $2::bigint)
            UNION
            (SELECT tenant FROM subscribed WHERE tenant IS NOT NULL LIMIT $2::bigint)) all_of
     ORDER BY tenant
     LIMIT $2::bigint
)
SELECT coalesce(jsonb_agg(tenant ORDER BY tenant), '[]')::text AS tenants,
       coalesce(max(tenant), '') AS last, count(*) AS tenants_count,
       (SELECT value FROM ledger_state WHERE name = 'catalog_version') AS catalog_version
  FROM page
