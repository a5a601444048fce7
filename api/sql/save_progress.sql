-- What the next try of a request needs to go on from here.
-- $1 text: tenant; $2 text: the key; $3 text: this process; $4 integer: attempt; $5 text: JSON
UPDATE api_requests SET progress = $5
 WHERE tenant = $1 AND idempotency_key = $2 AND owner = $3 AND attempt = $4::integer AND status IS NULL
RETURNING 1
