-- Gives a request back that could not be answered: the next one under its idempotency key goes on with it.
-- $1 text: tenant; $2 text: the key; $3 text: this process; $4 integer: attempt
UPDATE api_requests SET lease_until = clock_timestamp()
 WHERE tenant = $1 AND idempotency_key = $2 AND owner = $3 AND attempt = $4::integer AND status IS NULL
