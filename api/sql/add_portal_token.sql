-- Keeps the hash of a portal token.
-- $1 bytea: its hash; $2 text: tenant; $3 text: key that makes it; $4 integer: for how long, s
INSERT INTO portal_tokens (token_hash, tenant, key_id, expires_at)
VALUES ($1, $2, $3, date_trunc('second', clock_timestamp()) + $4::integer * interval '1 s')
RETURNING to_json(expires_at) #>> '{}'
