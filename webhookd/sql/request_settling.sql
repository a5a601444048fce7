-- Asks the sink to claim a tenant's usage at once.
-- $1 text: tenant
SELECT request_sink($1::text, 'settle')
