-- Makes a tenant's quotas those of its plan and its own limits.
-- $1 text: tenant
SELECT refresh_usage_quotas($1::text)
