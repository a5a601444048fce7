-- The stream was trimmed past our position: PostgreSQL lost commits. Book what is missing; sinks hold.
-- $1 text stream; $2 text owner; $3 int8 entries that are missing
WITH held AS (
    UPDATE ledger_state SET value = value + 1 WHERE name = 'sink_hold'
)
UPDATE stream_positions SET lost = lost + $3::bigint, updated_at = now()
 WHERE stream = $1 AND owner = $2
RETURNING lost
