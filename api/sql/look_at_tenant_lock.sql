-- A row, if a request still has what a tenant has at Stripe.
-- $1 text: tenant; $2 text: the request
SELECT l.owner FROM tenant_locks l WHERE l.tenant = $1 AND l.owner = $2 AND l.lease_until > clock_timestamp()
