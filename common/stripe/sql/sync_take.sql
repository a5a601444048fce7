-- Takes the reading of Stripe's objects, unless another process has it. A run that did not come to its end goes on where
-- it was, unless that is a day ago. Returns the list to read, its last object that was read, how many were read by list, and
-- when the run began: as text, and in Unix seconds.
-- $1 text: who takes it
-- $2 bigint: for how long, in ms
UPDATE stripe_catch_up c
   SET owner = $1::text, lease_until = now() + $2::bigint * interval '1 ms',
       started_at = CASE WHEN o.goes_on THEN c.started_at ELSE now() END,
       step = CASE WHEN o.goes_on THEN c.step ELSE 'prices' END,
       after_id = CASE WHEN o.goes_on THEN c.after_id END,
       read_count = CASE WHEN o.goes_on THEN c.read_count ELSE '{}' END
  FROM (SELECT coalesce(started_at > now() - interval '1 day', false) AS goes_on
          FROM stripe_catch_up WHERE name = 'objects' FOR UPDATE) o
 WHERE c.name = 'objects' AND (c.owner IS NULL OR c.owner = $1::text OR c.lease_until < now())
RETURNING c.step, c.after_id, c.read_count::text, c.started_at::text,
          floor(extract(epoch FROM c.started_at))::bigint AS started_s
