-- This process runs, and can work. One that was away for longer than it is remembered begins anew, as the youngest.
-- $1 text owner
INSERT INTO aggregator_members AS m (owner, joined_at, seen_until)
VALUES ($1, clock_timestamp(), clock_timestamp() + interval '3 s')
ON CONFLICT (owner) DO UPDATE
   SET joined_at = CASE WHEN m.seen_until < clock_timestamp() THEN excluded.joined_at ELSE m.joined_at END,
       seen_until = excluded.seen_until
