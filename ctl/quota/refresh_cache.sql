-- Bring the quotas of one tenant, or of all, in line with plans and own limits, and have limits and usage of theirs
-- written into the quota cache. Returns how many tenants.
-- $1 text: tenant, or NULL for all
WITH who AS MATERIALIZED (
    SELECT $1::text AS tenant WHERE $1::text IS NOT NULL
    UNION
    SELECT tenant FROM usage_quotas WHERE $1::text IS NULL
    UNION
    SELECT tenant FROM usage_totals WHERE $1::text IS NULL
    ORDER BY tenant
), done AS MATERIALIZED (
    SELECT w.tenant, pg_advisory_xact_lock(hashtextextended('meterline tenant ' || w.tenant, 0)) AS locked,
           refresh_usage_quotas(w.tenant) AS refreshed
      FROM who w
), limits AS (
    INSERT INTO limit_changes (tenant, number) SELECT tenant, nextval('limit_change') FROM done
    ON CONFLICT (tenant) DO UPDATE SET number = excluded.number
), used AS (
    INSERT INTO usage_window_changes (tenant) SELECT tenant FROM done ON CONFLICT (tenant) DO NOTHING
)
SELECT count(*) FILTER (WHERE tenant <> '') FROM done   -- '' is the plan free
