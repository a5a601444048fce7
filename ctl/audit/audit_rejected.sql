-- Streams and epochs whose rejected entries, kept and dropped by retention together, are not as many as were booked.
WITH booked AS (
    SELECT stream, epoch, rejected, conflicts FROM stream_positions
    UNION ALL
    SELECT stream, epoch, rejected, conflicts FROM stream_epochs
), kept AS (
    SELECT stream, epoch, count(*) AS events FROM rejected_events GROUP BY stream, epoch
), dropped AS (
    SELECT stream, epoch, sum(events) AS events FROM rejected_events_dropped GROUP BY stream, epoch
), both_sides AS (
    SELECT stream, epoch, (coalesce(k.events, 0) + coalesce(d.events, 0))::bigint AS rejected_rows,
           coalesce(b.rejected, 0) AS rejected, coalesce(b.conflicts, 0) AS conflicts
      FROM booked b
      FULL JOIN kept k USING (stream, epoch)
      FULL JOIN dropped d USING (stream, epoch)
)
SELECT stream, epoch, rejected_rows, rejected, conflicts,
       rejected + conflicts - rejected_rows AS difference
  FROM both_sides
 WHERE rejected_rows <> rejected + conflicts
 ORDER BY stream, epoch
