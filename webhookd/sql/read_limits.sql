-- What the quota cache must have for these tenants: a row for each metric of the catalog, also for those without a
-- limit, whose fields are deleted. Numbers have no trailing zeros. The last column names the ledger that owns the
-- hashes.
-- $1 jsonb: array of tenants
SELECT t.tenant, coalesce(tenant_status(t.tenant), 'active') AS status,
       floor(extract(epoch FROM statement_timestamp()) * 1000)::bigint AS read_at_ms,
       m.metric, q.cap,
       CASE WHEN q.cap IS NOT NULL THEN coalesce(trim_scale(q.limit_quantity)::text, 'unlimited') END
           AS limit_text,
       floor(extract(epoch FROM q.grace_until) * 1000)::bigint AS grace_until_ms,
       (SELECT takeovers || ':' || ledger_id FROM ledger_identity) AS ledger
  FROM jsonb_array_elements_text($1::jsonb) AS t (tenant)
  LEFT JOIN metrics m ON true
  LEFT JOIN usage_quotas q ON q.tenant = t.tenant AND q.metric = m.metric
 ORDER BY t.tenant, m.metric
