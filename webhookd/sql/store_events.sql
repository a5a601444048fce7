-- Stores events, and returns the ids of those that are new, in the order given. A second delivery changes nothing.
-- $1 text[]: event ids
-- $2 text[]: types
-- $3 text[]: ids of their objects, or NULL
-- $4 timestamptz[]: created
-- $5 text[]: the bodies as they came
INSERT INTO webhook_events (event_id, type, object_id, created_at, payload)
SELECT n.event_id, n.type, n.object_id, n.created_at, n.payload
  FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[])
       AS n (event_id, type, object_id, created_at, payload)
    ON CONFLICT (event_id) DO NOTHING
RETURNING event_id
