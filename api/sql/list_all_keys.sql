-- A page of the keys of the API, the newest first, each as JSON.
-- $1 text: id of the row before, or NULL; $2 bigint: how many; $3 text: state, or NULL
SELECT json_build_object(
           'id', k.key_id, 'name', k.name, 'role', k.role, 'tenant', k.tenant, 'state', x.state, 'created_at', k.created_at,
           'created_by', k.created_by, 'expires_at', k.expires_at, 'revoked_at', k.revoked_at)
  FROM api_keys k
 CROSS JOIN LATERAL (SELECT CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                                 WHEN k.expires_at <= now() THEN 'expired' ELSE 'valid' END AS state) x
 WHERE ($1::text IS NULL OR (k.created_at, k.key_id) <
           (SELECT b.created_at, b.key_id FROM api_keys b WHERE b.key_id = $1))
   AND ($3::text IS NULL OR x.state = $3)
 ORDER BY k.created_at DESC, k.key_id DESC
 LIMIT $2::bigint
