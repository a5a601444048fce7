-- What the quota cache must have for these tenants: a row for each metric that there ever was. One that the plan does not
-- limit is unlimited; the fields of one that is no longer in the catalog are deleted. Numbers have no trailing zeros.
-- The last columns name the ledger that owns the hashes, and the catalog.
-- $1 jsonb: array of tenants
WITH wanted AS MATERIALIZED (
    SELECT t.tenant, standing_of(s) AS status, coalesce(s.plan, 'free') AS plan
      FROM jsonb_array_elements_text($1::jsonb) AS t (tenant)
     CROSS JOIN LATERAL deciding_subscription(t.tenant) s
), quotas AS MATERIALIZED (
    -- OFFSET keeps it a look-up for each tenant, before the table was ever analyzed too.
    SELECT q.tenant, q.metric, q.cap, q.limit_quantity, q.grace_until
      FROM wanted t
     CROSS JOIN LATERAL (SELECT x.* FROM usage_quotas x WHERE x.tenant = t.tenant OFFSET 0) q
)
SELECT t.tenant, t.status, floor(extract(epoch FROM statement_timestamp()) * 1000)::bigint AS read_at_ms,
       m.metric, CASE WHEN m.retired_at IS NULL THEN coalesce(q.cap, 'none') END AS cap,
       CASE WHEN m.retired_at IS NULL THEN coalesce(trim_scale(q.limit_quantity)::text, 'unlimited') END AS limit_text,
       floor(extract(epoch FROM q.grace_until) * 1000)::bigint AS grace_until_ms,
       (SELECT takeovers || ':' || ledger_id FROM ledger_identity) AS ledger,
       (SELECT value FROM ledger_state WHERE name = 'catalog_version') AS catalog_version, t.plan
  FROM wanted t
  LEFT JOIN metrics m ON true
  LEFT JOIN quotas q ON q.tenant = t.tenant AND q.metric = m.metric
 ORDER BY t.tenant, m.metric
