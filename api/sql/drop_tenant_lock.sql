-- Gives a tenant's lock back.
-- $1 text: tenant; $2 text: the request
DELETE FROM tenant_locks WHERE tenant = $1 AND owner = $2
