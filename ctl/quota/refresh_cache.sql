-- Bring the quotas of one tenant, or of a page of all, in line with plans and own limits, and have limits and usage of
-- theirs written into the quota cache. Returns how many tenants, how many with the plan free among them, and the last of
-- them. A page, because each lock that a transaction holds takes a place that all of PostgreSQL shares.
-- $1 text: tenant, or NULL for all
-- $2 text: after this tenant; NULL for the first page
-- $3 bigint: the most tenants of a page
WITH who AS MATERIALIZED (
    SELECT $1::text COLLATE "C" AS tenant WHERE $1::text IS NOT NULL
    UNION ALL
    SELECT '' WHERE $1::text IS NULL AND $2::text IS NULL
    UNION ALL
    SELECT tenant
      FROM list_tenants(coalesce($2::text, ''), $3::bigint - ($2::text IS NULL)::int)
     WHERE $1::text IS NULL
), done AS MATERIALIZED (
    SELECT w.tenant, pg_advisory_xact_lock(hashtextextended('meterline tenant ' || w.tenant, 0)) AS locked FROM who w
), refreshed AS MATERIALIZED (
    SELECT refresh_quotas_of(ARRAY(SELECT tenant FROM done))
), limits AS (
    INSERT INTO limit_changes (tenant, number) SELECT tenant, nextval('limit_change') FROM done
    ON CONFLICT (tenant) DO UPDATE SET number = excluded.number
), used_now AS (
    INSERT INTO usage_window_changes (tenant) SELECT tenant FROM done ON CONFLICT (tenant) DO NOTHING
)
SELECT count(*) FILTER (WHERE tenant <> '') AS tenants, count(*) AS all_of, coalesce(max(tenant), '') AS last   -- '' is the plan free
  FROM done WHERE EXISTS (SELECT FROM refreshed)
