-- Drops a page of requests and portal tokens whose time is over.
-- $1 bigint: at most so many of each
WITH old_requests AS (
    DELETE FROM api_requests
     WHERE (tenant, idempotency_key) IN (SELECT tenant, idempotency_key FROM api_requests
                                          WHERE created_at < clock_timestamp() - interval '24 hours'
                                            AND (status IS NOT NULL OR lease_until < clock_timestamp())
                                          ORDER BY created_at LIMIT $1::bigint FOR UPDATE SKIP LOCKED)
    RETURNING 1
), old_tokens AS (
    DELETE FROM portal_tokens
     WHERE token_hash IN (SELECT token_hash FROM portal_tokens
                           WHERE expires_at < clock_timestamp() ORDER BY expires_at LIMIT $1::bigint FOR UPDATE SKIP LOCKED)
    RETURNING 1
)
SELECT greatest((SELECT count(*) FROM old_requests), (SELECT count(*) FROM old_tokens))
