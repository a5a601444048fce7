-- Keep leases. A row that is locked is being moved by a batch of ours, which renews it, and must not be waited for.
-- Notes how far back repeated ids are known. A row for each that was kept: its batches, of all epochs.
-- $1 text owner; $2 text[] streams; $3 int8[] each one's deduplication window in s, NULL: not known now
WITH ours AS (
    SELECT stream FROM stream_positions WHERE owner = $1 AND stream = ANY ($2::text[]) FOR UPDATE SKIP LOCKED
)
UPDATE stream_positions p
   SET lease_until = clock_timestamp() + interval '3 s', dedupe_window_s = coalesce(w.window_s, p.dedupe_window_s)
  FROM ours, unnest($2::text[], $3::int8[]) AS w (stream, window_s)
 WHERE p.stream = ours.stream AND w.stream = ours.stream
RETURNING p.stream, p.batches
