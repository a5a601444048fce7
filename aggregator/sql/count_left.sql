-- Count some batches of the streams of fold_left.sql whose sums nobody has. How many are left.
-- $1 text stream; $2 text[] streams of the number in force
SELECT coalesce(sum(count_pending(stream, 4)), 0)::int8
  FROM (SELECT stream FROM stream_positions WHERE stream = $1 OR stream <> ALL ($2::text[]) ORDER BY stream OFFSET 0) s
