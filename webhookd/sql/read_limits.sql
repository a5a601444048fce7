-- What the quota cache holds of these tenants: a row for each metric of the catalog, those without a
-- limit too (so that fields of metrics gone are deleted). Numbers without trailing zeros. Last: whose hashes they are.
-- $1 jsonb: array of tenants
select t.tenant, coalesce(tenant_status(t.tenant), 'active') as status,
       floor(extract(epoch from statement_timestamp()) * 1000)::bigint as read_at_ms,
       m.metric, q.cap,
       case when q.cap is not null then coalesce(trim_scale(q.limit_quantity)::text, 'unlimited') end
           as limit_text,
       floor(extract(epoch from q.grace_until) * 1000)::bigint as grace_until_ms,
       (select takeovers || ':' || ledger_id from ledger_identity) as ledger
  from jsonb_array_elements_text($1::jsonb) as t (tenant)
  left join metrics m on true
  left join usage_quotas q on q.tenant = t.tenant and q.metric = m.metric
 order by t.tenant, m.metric
