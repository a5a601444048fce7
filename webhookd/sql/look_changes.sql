-- Some of the tenants whose limits changed, as one JSON array; the same with the number of each change; how many there
-- are; the version of the catalog; and the time now, for the next look. With them come those of whom something has
-- ended since the last look: days of grace, a pause of collecting, limits of their own.
-- $1 bigint: the most tenants with changes
-- $2 timestamptz: the last look; NULL: there was none
SELECT coalesce(jsonb_agg(DISTINCT tenant), '[]')::text AS tenants,
       coalesce(jsonb_agg(jsonb_build_array(tenant, number)) FILTER (WHERE number IS NOT NULL), '[]')::text AS notes,
       count(*) AS tenants_count,
       (SELECT value FROM ledger_state WHERE name = 'catalog_version') AS catalog_version, now()::text AS looked_at
  FROM ((SELECT tenant, number FROM limit_changes ORDER BY number LIMIT $1::bigint)
        UNION ALL
        SELECT tenant, NULL FROM subscriptions
         WHERE status = 'past_due' AND coalesce(past_due_since, updated_at) >= $2::timestamptz - payment_grace()
           AND coalesce(past_due_since, updated_at) <= now() - payment_grace()
        UNION ALL
        SELECT tenant, NULL FROM subscriptions
         WHERE collection_resumes_at >= $2::timestamptz AND collection_resumes_at <= now()
        UNION ALL
        SELECT tenant, NULL FROM tenant_limits WHERE until >= $2::timestamptz AND until <= now()) AS c
