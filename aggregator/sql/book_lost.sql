-- The stream was trimmed past our position: PostgreSQL lost commits. Book what is missing; sinks hold.
-- $1 text stream; $2 text owner; $3 int4 epoch; $4 text last_id; $5 int8 entries that are missing
WITH booked AS (
    UPDATE stream_positions SET lost = lost + $5::bigint, updated_at = now()
     WHERE stream = $1 AND owner = $2 AND epoch = $3 AND last_id = $4
    RETURNING lost
)
SELECT lost, hold_sinks() FROM booked
