-- Remove a tenant's own limits; those of its plan hold again.
-- $1 text: tenant
-- $2 text: metric, or NULL for all
DELETE FROM tenant_limits WHERE tenant = $1::text AND ($2::text IS NULL OR metric = $2::text)
