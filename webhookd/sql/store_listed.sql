-- Stores events that Stripe lists, as if they had been delivered. Returns how many were not there, and how many of these
-- are so old that they should have been.
-- $1 text[]: event ids
-- $2 text[]: types
-- $3 text[]: ids of their objects, or NULL
-- $4 text[]: their customers, or NULL
-- $5 int2[]: their priorities
-- $6 timestamptz[]: created
-- $7 text[]: as listed
-- $8 bigint: one that is younger may still be on its way, in s
WITH stored AS (
    INSERT INTO webhook_events (event_id, type, object_id, customer_id, priority, created_at, payload)
    SELECT n.event_id, n.type, n.object_id, n.customer_id, n.priority, n.created_at, n.payload
      FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int2[], $6::timestamptz[], $7::text[])
           AS n (event_id, type, object_id, customer_id, priority, created_at, payload)
     ORDER BY n.event_id
        ON CONFLICT (event_id) DO NOTHING
    RETURNING created_at
)
SELECT count(*), count(*) FILTER (WHERE created_at < now() - $8::bigint * interval '1 s') FROM stored
