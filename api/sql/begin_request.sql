-- Takes a request under its idempotency key, or tells what became of it.
-- $1 text: tenant, '' for all; $2 text: the key; $3 bytea: digest of what is asked; $4 text: method; $5 text: path;
-- $6 text: key id; $7 text: this process; $8 integer: how long it is ours, ms
SELECT outcome, attempt, status, answer, progress, request_id
  FROM begin_api_request($1, $2, $3, $4, $5, $6, $7, $8::integer)
