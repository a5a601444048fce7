-- Asks the sink to submit what a tenant has used.
-- $1 text: tenant
SELECT request_sink($1, 'settle')
