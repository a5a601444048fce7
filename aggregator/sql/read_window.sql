-- Keys of the stored batches within the deduplication window, oldest first; events of a whole batch first.
-- $1 text stream; $2 int8 window in ms
SELECT sum(events) OVER (PARTITION BY batch), (day - date '1970-01-01')::int4, epoch, batch, slice, committed_at,
       tenants, ids_uuid, ids_text, entry_ms, entry_seq
  FROM usage_batches
 WHERE stream = $1 AND committed_at > now() - $2::bigint * interval '1 ms'
   AND day >= ((now() - $2::bigint * interval '1 ms') AT TIME ZONE 'UTC')::date
 ORDER BY batch, slice
