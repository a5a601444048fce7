-- Forget a limit of a tenant's own that has ended.
-- $1 text: tenant
-- $2 text: metric
DELETE FROM tenant_limits WHERE tenant = $1::text AND metric = $2::text AND until <= now()
