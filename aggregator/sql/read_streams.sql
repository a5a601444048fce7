-- The streams that were ever counted: whose they are; whether they are of a number of shards that is not in force
-- any more; and if so, whether sums were left there.
-- $1 text owner; $2 text[] streams of the number in force
SELECT stream, coalesce(owner = $1, false), owner IS NULL OR lease_until < clock_timestamp(),
       stream <> ALL ($2::text[]),
       stream <> ALL ($2::text[]) AND (EXISTS (SELECT FROM usage_pending p WHERE p.stream = s.stream)
                                       OR EXISTS (SELECT FROM usage_recounts r WHERE r.stream = s.stream))
  FROM stream_positions s ORDER BY stream
