-- The stream was trimmed past our position: PostgreSQL lost commits. Book what is missing; sinks hold. Versions
-- of totals go on above those that were lost, which the quota cache has seen: they follow the clock then.
-- $1 text stream; $2 text owner; $3 int4 epoch; $4 text last_id; $5 int8 entries that are missing
WITH booked AS (
    UPDATE stream_positions SET lost = lost + $5::bigint, updated_at = now()
     WHERE stream = $1 AND owner = $2 AND epoch = $3 AND last_id = $4
    RETURNING lost
), held AS (
    UPDATE ledger_state SET value = value + 1
     WHERE name = 'sink_hold' AND EXISTS (SELECT FROM booked)
)
SELECT lost, setval('usage_version', greatest(nextval('usage_version'),
                                              (extract(epoch FROM clock_timestamp()) * 1000000)::bigint))
  FROM booked
