-- Revoke a key of the API.
-- $1 text: its id or its name
UPDATE api_keys SET revoked_at = now()
 WHERE (key_id = $1::text OR name = $1::text) AND revoked_at IS NULL
RETURNING key_id, name, role, tenant
