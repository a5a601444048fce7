-- Keeps the requests that this process works on.
-- $1 text: this process; $2 integer: for how long, ms
UPDATE api_requests SET lease_until = clock_timestamp() + $2::integer * interval '1 ms'
 WHERE owner = $1 AND status IS NULL AND lease_until > clock_timestamp()
