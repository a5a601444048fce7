-- Takes a tenant's own limits away: the plan's hold.
-- $1 text: tenant
-- $2 text: metric, or NULL for all
delete from tenant_limits where tenant = $1::text and ($2::text is null or metric = $2::text)
