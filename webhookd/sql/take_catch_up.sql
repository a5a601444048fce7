-- Takes the reading of Stripe's events, unless another process has it, or did it lately. Returns where to begin, in Unix
-- seconds (NULL: nothing was ever read), the time, and 1 if all objects have been read while Stripe still has what came
-- since (it keeps events for 30 days, and a run takes a day at most).
-- $1 text: who takes it
-- $2 bigint: for how long, in s
-- $3 bigint: the last time must be so long ago, in s; 0: it does not matter
UPDATE stripe_catch_up
   SET owner = $1::text, lease_until = now() + $2::bigint * interval '1 s'
 WHERE name = 'events' AND (owner IS NULL OR owner = $1::text OR lease_until < now())
   AND ($3::bigint = 0 OR done_at IS NULL OR done_at <= now() - $3::bigint * interval '1 s')
RETURNING floor(extract(epoch FROM position_at))::bigint AS position_s, floor(extract(epoch FROM now()))::bigint AS now_s,
          (SELECT count(*) FROM stripe_catch_up o
            WHERE o.name = 'objects' AND o.done_at > now() - interval '28 days') AS objects_read
