-- Drops a page of requests, portal tokens and operations at Stripe whose time is over. One whose outcome is not known stays, to
-- be looked for by its key; what was to be sent, which may name people, does not.
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
), old_operations AS (
    DELETE FROM stripe_operations
     WHERE idempotency_key IN (SELECT idempotency_key FROM stripe_operations
                                WHERE begun_at < clock_timestamp() - interval '30 days' AND state <> 'open'
                                ORDER BY begun_at LIMIT $1::bigint FOR UPDATE SKIP LOCKED)
    RETURNING 1
), old_bodies AS (
    UPDATE stripe_operations SET body = ''
     WHERE idempotency_key IN (SELECT idempotency_key FROM stripe_operations
                                WHERE begun_at < clock_timestamp() - interval '30 days' AND state = 'open' AND body <> ''
                                ORDER BY begun_at LIMIT $1::bigint FOR UPDATE SKIP LOCKED)
    RETURNING 1
)
SELECT greatest((SELECT count(*) FROM old_requests), (SELECT count(*) FROM old_tokens), (SELECT count(*) FROM old_operations),
                (SELECT count(*) FROM old_bodies))
