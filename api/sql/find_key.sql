-- Whose key or portal token is it, and does it hold?
-- $1 bytea: its hash
SELECT CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked' WHEN k.expires_at <= clock_timestamp() THEN 'expired' ELSE 'valid' END,
       k.key_id, k.name, k.role, k.tenant, false
  FROM api_keys k
 WHERE k.secret_hash = $1
UNION ALL
SELECT CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked'
            WHEN least(k.expires_at, t.expires_at) <= clock_timestamp() THEN 'expired' ELSE 'valid' END,
       k.key_id, k.name, 'viewer', t.tenant, true
  FROM portal_tokens t
  JOIN api_keys k USING (key_id)
 WHERE t.token_hash = $1
