-- Bring one tenant's quotas in line with its plan and its own limits.
-- $1 text: tenant
SELECT refresh_usage_quotas($1::text)
