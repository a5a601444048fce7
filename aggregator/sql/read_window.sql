-- Keys of the stored batches within the deduplication window, oldest first; events of a whole batch first.
-- $1 text stream; $2 int8 Unix ms: what was committed later is within; $3 int8 Unix ms when the number of shards changed
-- (0: never); $4 int8 Unix ms: so is what has its last entry then or later
-- Before the number changed, events of this shard's tenants went to any stream. An entry's time is at most a day
-- ahead of its commit: more is not believed.
-- Entries only of slices where not every event has an id of its own: to send an array costs by the element.
SELECT b.all_events, (day - date '1970-01-01')::int4, epoch, batch, slice, committed_at, tenants, ids_uuid, ids_text,
       CASE WHEN x.given THEN NULL ELSE entry_ms END, CASE WHEN x.given THEN NULL ELSE entry_seq END, retracts, stream,
       entry_last_ms
  FROM (SELECT *, sum(events) OVER (PARTITION BY batch) AS all_events
          FROM usage_batches
         WHERE (stream = $1 OR committed_at <= to_timestamp(0) + $3::bigint * interval '1 ms')
           AND (committed_at > to_timestamp(0) + $2::bigint * interval '1 ms' OR entry_time(entry_last_ms, committed_at) >= $4)
           AND day >= ((to_timestamp(0) + least($2::bigint, $4::bigint - 86400000) * interval '1 ms') AT TIME ZONE 'UTC')::date) b
 CROSS JOIN LATERAL (
       SELECT (ids_text IS NULL AND ids_uuid IS NOT NULL AND array_position(ids_uuid, NULL) IS NULL)
              OR (ids_uuid IS NULL AND ids_text IS NOT NULL AND array_position(ids_text, NULL) IS NULL) AS given) x
 ORDER BY batch, slice
