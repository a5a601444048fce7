-- Keeps the reading of Stripe's objects, and notes how far it has come. Returns nothing if another process has taken it.
-- $1 text: who has it
-- $2 bigint: for how long more, in ms
-- $3 text: the list that was read
-- $4 bigint: so many objects of it more
-- $5 text: the list to read next; NULL: that was all
-- $6 text: its last object that was read, or NULL
UPDATE stripe_catch_up
   SET lease_until = CASE WHEN $5::text IS NOT NULL THEN now() + $2::bigint * interval '1 ms' END,
       owner = CASE WHEN $5::text IS NOT NULL THEN owner END,
       started_at = CASE WHEN $5::text IS NOT NULL THEN started_at END,
       done_at = CASE WHEN $5::text IS NOT NULL THEN done_at ELSE now() END,
       step = $5::text, after_id = $6::text,
       read_count = read_count || jsonb_build_object($3::text, coalesce((read_count ->> $3::text)::bigint, 0) + $4::bigint)
 WHERE name = 'objects' AND owner = $1::text
RETURNING 1
