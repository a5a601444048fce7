-- Stores events, and returns the ids of those that are new, in the order given. A second delivery changes nothing.
-- $1 text[]: event ids
-- $2 text[]: types
-- $3 text[]: ids of their objects, or NULL
-- $4 text[]: their customers, or NULL
-- $5 int2[]: their priorities
-- $6 timestamptz[]: created
-- $7 text[]: the bodies as they came
INSERT INTO webhook_events (event_id, type, object_id, customer_id, priority, created_at, payload)
SELECT n.event_id, n.type, n.object_id, n.customer_id, n.priority, n.created_at, n.payload
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int2[], $6::timestamptz[], $7::text[])
       AS n (event_id, type, object_id, customer_id, priority, created_at, payload)
    ON CONFLICT (event_id) DO NOTHING
RETURNING event_id
