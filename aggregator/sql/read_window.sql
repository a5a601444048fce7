-- Keys of the stored batches within the deduplication window, oldest first; events of a whole batch first.
-- $1 text stream; $2 int8 window in ms
-- Entries only of slices where not every event has an id of its own: to send an array costs by the element.
SELECT b.all_events, (day - date '1970-01-01')::int4, epoch, batch, slice, committed_at, tenants, ids_uuid, ids_text,
       CASE WHEN x.given THEN NULL ELSE entry_ms END, CASE WHEN x.given THEN NULL ELSE entry_seq END, retracts
  FROM (SELECT *, sum(events) OVER (PARTITION BY batch) AS all_events
          FROM usage_batches
         WHERE stream = $1 AND committed_at > now() - $2::bigint * interval '1 ms'
           AND day >= ((now() - $2::bigint * interval '1 ms') AT TIME ZONE 'UTC')::date) b
 CROSS JOIN LATERAL (
       SELECT (ids_text IS NULL AND ids_uuid IS NOT NULL AND array_position(ids_uuid, NULL) IS NULL)
              OR (ids_uuid IS NULL AND ids_text IS NOT NULL AND array_position(ids_text, NULL) IS NULL) AS given) x
 ORDER BY batch, slice
