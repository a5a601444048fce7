-- Bring the quotas of one tenant, or of a page of all, in line with plans and own limits, and have limits and usage of
-- theirs written into the quota cache. Returns how many tenants, how many with the plan free among them, and the last of
-- them. A page, because each lock that a transaction holds takes a place that all of PostgreSQL shares. It skips from tenant
-- to tenant in the indexes.
-- $1 text: tenant, or NULL for all
-- $2 text: after this tenant; NULL for the first page
-- $3 bigint: the most tenants of a page
WITH RECURSIVE used AS (
    SELECT (SELECT min(tenant) FROM usage_totals WHERE tenant > coalesce($2::text, '')) AS tenant
    UNION ALL
    SELECT (SELECT min(t.tenant) FROM usage_totals t WHERE t.tenant > used.tenant)
      FROM used WHERE used.tenant IS NOT NULL
), limited AS (
    SELECT (SELECT min(tenant) FROM usage_quotas WHERE tenant > coalesce($2::text, '')) AS tenant
    UNION ALL
    SELECT (SELECT min(q.tenant) FROM usage_quotas q WHERE q.tenant > limited.tenant)
      FROM limited WHERE limited.tenant IS NOT NULL
), subscribed AS (
    SELECT (SELECT min(tenant) FROM subscriptions WHERE tenant > coalesce($2::text, '')) AS tenant
    UNION ALL
    SELECT (SELECT min(s.tenant) FROM subscriptions s WHERE s.tenant > subscribed.tenant)
      FROM subscribed WHERE subscribed.tenant IS NOT NULL
), who AS MATERIALIZED (
    SELECT tenant
      FROM (SELECT coalesce($1::text, '') COLLATE "C" AS tenant WHERE $1::text IS NOT NULL OR $2::text IS NULL
            UNION
            (SELECT tenant FROM used WHERE $1::text IS NULL AND tenant IS NOT NULL LIMIT $3::bigint)
            UNION
            (SELECT tenant FROM limited WHERE $1::text IS NULL AND tenant IS NOT NULL LIMIT $3::bigint)
            UNION
            (SELECT tenant FROM subscribed WHERE $1::text IS NULL AND tenant IS NOT NULL LIMIT $3::bigint)) all_of
     ORDER BY tenant
     LIMIT $3::bigint
), done AS MATERIALIZED (
    SELECT w.tenant, pg_advisory_xact_lock(hashtextextended('meterline tenant ' || w.tenant, 0)) AS locked,
           refresh_usage_quotas(w.tenant) AS refreshed
      FROM who w
), limits AS (
    INSERT INTO limit_changes (tenant, number) SELECT tenant, nextval('limit_change') FROM done
    ON CONFLICT (tenant) DO UPDATE SET number = excluded.number
), used_now AS (
    INSERT INTO usage_window_changes (tenant) SELECT tenant FROM done ON CONFLICT (tenant) DO NOTHING
)
SELECT count(*) FILTER (WHERE tenant <> '') AS tenants, count(*) AS all_of, coalesce(max(tenant), '') AS last   -- '' is the plan free
  FROM done
