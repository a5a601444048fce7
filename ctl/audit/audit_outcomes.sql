-- Streams and epochs whose counts differ from the sum of their batches, dropped ones included.
WITH booked AS (
    SELECT stream, epoch, counted, duplicates, rejected, conflicts FROM stream_positions
    UNION ALL
    SELECT stream, epoch, counted, duplicates, rejected, conflicts FROM stream_epochs
), summed AS (
    SELECT stream, epoch, sum(counted) AS counted, sum(duplicates) AS duplicates, sum(rejected) AS rejected,
           sum(conflicts) AS conflicts
      FROM (SELECT stream, epoch, counted, duplicates, rejected, conflicts FROM stream_batches
             UNION ALL
            SELECT stream, epoch, counted, duplicates, rejected, conflicts FROM stream_batches_dropped) b
     GROUP BY stream, epoch
)
SELECT stream, epoch, coalesce(s.counted, 0)::bigint AS batches_counted, coalesce(b.counted, 0) AS counted,
       coalesce(s.duplicates, 0)::bigint AS batches_duplicates, coalesce(b.duplicates, 0) AS duplicates,
       coalesce(s.rejected, 0)::bigint AS batches_rejected, coalesce(b.rejected, 0) AS rejected,
       coalesce(s.conflicts, 0)::bigint AS batches_conflicts, coalesce(b.conflicts, 0) AS conflicts
  FROM booked b
  FULL JOIN summed s USING (stream, epoch)
 WHERE (coalesce(s.counted, 0), coalesce(s.duplicates, 0), coalesce(s.rejected, 0), coalesce(s.conflicts, 0))
       <> (coalesce(b.counted, 0), coalesce(b.duplicates, 0), coalesce(b.rejected, 0), coalesce(b.conflicts, 0))
 ORDER BY stream, epoch
