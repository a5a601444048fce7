-- Stores an event. A second delivery changes nothing.
-- $1 text: event id
-- $2 text: type
-- $3 text: id of its object, or NULL
-- $4 bigint: created, Unix seconds
-- $5 text: the body as it came
INSERT INTO webhook_events (event_id, type, object_id, created_at, payload)
VALUES ($1::text, $2::text, $3::text, 'epoch'::timestamptz + $4::bigint * interval '1 s', $5::text)
    ON CONFLICT (event_id) DO NOTHING
