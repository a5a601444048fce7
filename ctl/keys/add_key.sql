-- Make a key of the API known, by its hash.
-- $1 text: name
-- $2 bytea: hash
-- $3 text: role
-- $4 text: tenant, or NULL
-- $5 integer: for how many seconds, or NULL
INSERT INTO api_keys (name, secret_hash, role, tenant, expires_at)
VALUES ($1::text, $2::bytea, $3::text, $4::text, date_trunc('second', now()) + $5::integer * interval '1 s')
ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING
RETURNING key_id, name, role, tenant, expires_at
