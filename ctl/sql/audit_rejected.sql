-- Streams and epochs whose rejected entries, kept and dropped by retention, are not as many as were booked.
with booked as (
    select stream, epoch, rejected, conflicts from stream_positions
    union all
    select stream, epoch, rejected, conflicts from stream_epochs
), kept as (
    select stream, epoch, count(*) as events from rejected_events group by stream, epoch
), dropped as (
    select stream, epoch, sum(events) as events from rejected_events_dropped group by stream, epoch
), both_sides as (
    select stream, epoch, (coalesce(k.events, 0) + coalesce(d.events, 0))::bigint as rejected_rows,
           coalesce(b.rejected, 0) as rejected, coalesce(b.conflicts, 0) as conflicts
      from booked b
      full join kept k using (stream, epoch)
      full join dropped d using (stream, epoch)
)
select stream, epoch, rejected_rows, rejected, conflicts,
       rejected + conflicts - rejected_rows as difference
  from both_sides
 where rejected_rows <> rejected + conflicts
 order by stream, epoch
