-- How many tenants have quotas, and the age of the quotas brought up to date least lately, in s.
select count(distinct tenant) as tenants,
       floor(extract(epoch from clock_timestamp() - min(refreshed_at)))::bigint as table_age_s
  from usage_quotas
