-- Keeps the reading of Stripe's events, and notes how far it has come. Returns nothing if another process has taken it.
-- $1 text: who has it
-- $2 bigint: for how long more, in s; 0: it has ended
-- $3 bigint: all events that were created before this have been read, Unix seconds; NULL: no news
UPDATE stripe_catch_up
   SET position_at = greatest(position_at, to_timestamp($3::bigint)),
       lease_until = CASE WHEN $2::bigint > 0 THEN now() + $2::bigint * interval '1 s' END,
       owner = CASE WHEN $2::bigint > 0 THEN owner END,
       done_at = CASE WHEN $2::bigint > 0 THEN done_at ELSE now() END
 WHERE name = 'events' AND owner = $1::text
RETURNING 1
