-- Keep leases. A row that is locked is being moved by a batch of ours, which renews it, and must not be waited for.
-- $1 text owner; $2 text[] streams
WITH ours AS (
    SELECT stream FROM stream_positions WHERE owner = $1 AND stream = ANY ($2::text[]) FOR UPDATE SKIP LOCKED
)
UPDATE stream_positions p SET lease_until = clock_timestamp() + interval '3 s' FROM ours WHERE p.stream = ours.stream
