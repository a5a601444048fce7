-- Notes a POST to Stripe before it goes out, unless the tenant's lock was lost meanwhile.
-- $1 text: tenant; $2 text: the request that has the lock; $3 text: operation; $4 text: digest of the request;
-- $5 text: idempotency key; $6 text: path; $7 text: body; $8 text: customer at Stripe, or NULL
WITH held AS (
    SELECT l.tenant FROM tenant_locks l
     WHERE l.tenant = $1 AND l.owner = $2 AND l.lease_until > clock_timestamp()
       FOR UPDATE
)
INSERT INTO stripe_operations AS o (tenant, operation, request_digest, idempotency_key, path, body, stripe_customer_id)
SELECT held.tenant, $3, $4, $5, $6, $7, $8 FROM held
    ON CONFLICT (idempotency_key) DO UPDATE SET state = 'open', ended_at = NULL
RETURNING o.idempotency_key
