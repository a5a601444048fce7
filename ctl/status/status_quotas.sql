-- How many tenants have quotas, and the age of the quotas brought up to date least lately, in s.
SELECT count(DISTINCT tenant) AS tenants,
       floor(extract(epoch FROM clock_timestamp() - min(refreshed_at)))::bigint AS table_age_s
  FROM usage_quotas
