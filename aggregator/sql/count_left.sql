-- Count one batch of each stream of fold_left.sql whose sums are nowhere. How many such batches are left, and how many
-- streams to be folded.
-- $1 text stream; $2 text[] streams of the number in force
SELECT coalesce(sum(count_pending(stream, 1)), 0)::int8, count(*)
  FROM (SELECT stream FROM stream_positions s
         WHERE (stream = $1 OR stream <> ALL ($2::text[]))
           AND (EXISTS (SELECT FROM usage_pending p WHERE p.stream = s.stream)
                OR EXISTS (SELECT FROM usage_recounts r WHERE r.stream = s.stream))
         ORDER BY stream OFFSET 0) s
