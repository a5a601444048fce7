-- How many tenants have quotas, and for how many seconds the one that waits longest was not brought up to date.
SELECT count(DISTINCT tenant) AS tenants,
       floor(extract(epoch FROM clock_timestamp() - min(refreshed_at)))::bigint AS table_age_s
  FROM usage_quotas
 WHERE tenant <> ''
