-- Stores the answer to a request under its idempotency key, unless another process has taken it over.
-- $1 text: tenant; $2 text: the key; $3 text: this process; $4 integer: attempt; $5 integer: status; $6 text: answer, or NULL: it had a secret
SELECT finish_api_request($1, $2, $3, $4::integer, $5::integer, $6)
