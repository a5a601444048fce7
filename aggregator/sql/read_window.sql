-- Keys of the stored batches within the deduplication window, oldest first; events of a whole batch first.
-- $1 text stream; $2 int8 window in ms; $3 int8 Unix ms when the number of shards changed (0: never)
-- Before that, events of this shard's tenants went to any stream.
-- Entries only of slices where not every event has an id of its own: to send an array costs by the element.
SELECT b.all_events, (day - date '1970-01-01')::int4, epoch, batch, slice, committed_at, tenants, ids_uuid, ids_text,
       CASE WHEN x.given THEN NULL ELSE entry_ms END, CASE WHEN x.given THEN NULL ELSE entry_seq END, retracts, stream
  FROM (SELECT *, sum(events) OVER (PARTITION BY batch) AS all_events
          FROM usage_batches
         WHERE (stream = $1 OR committed_at <= to_timestamp(0) + $3::bigint * interval '1 ms')
           AND committed_at > now() - $2::bigint * interval '1 ms'
           AND day >= ((now() - $2::bigint * interval '1 ms') AT TIME ZONE 'UTC')::date) b
 CROSS JOIN LATERAL (
       SELECT (ids_text IS NULL AND ids_uuid IS NOT NULL AND array_position(ids_uuid, NULL) IS NULL)
              OR (ids_uuid IS NULL AND ids_text IS NOT NULL AND array_position(ids_text, NULL) IS NULL) AS given) x
 ORDER BY batch, slice
