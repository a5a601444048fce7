-- Keeps the locks of requests that this process works on.
-- $1 text[]: the requests; $2 integer: for how long, ms
UPDATE tenant_locks SET lease_until = clock_timestamp() + $2::integer * interval '1 ms' WHERE owner = ANY ($1::text[])
