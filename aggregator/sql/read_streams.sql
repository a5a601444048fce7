-- The streams that were ever counted: whose they are.
-- $1 text owner
SELECT stream, coalesce(owner = $1, false), owner IS NULL OR lease_until < clock_timestamp()
  FROM stream_positions ORDER BY stream
