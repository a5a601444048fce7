-- Keys of the API, the newest first; not what they are, which nobody knows.
-- $1 boolean: those too that were revoked or have expired
SELECT key_id, name, role, coalesce(tenant, '(all)') AS tenant, created_at, created_by, expires_at, revoked_at,
       CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN expires_at <= now() THEN 'expired' ELSE 'valid' END AS state
  FROM api_keys
 WHERE $1::boolean OR revoked_at IS NULL AND (expires_at > now()) IS NOT FALSE
 ORDER BY created_at DESC, key_id
