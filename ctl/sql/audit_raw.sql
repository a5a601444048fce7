-- Streams and epochs whose raw events, kept and dropped by retention, are not as many as counted.
with counted as (
    select stream, epoch, counted from stream_positions
    union all
    select stream, epoch, counted from stream_epochs
), kept as (
    select stream, epoch, sum(events) as events from usage_batches group by stream, epoch
), dropped as (
    select stream, epoch, sum(events) as events from usage_batches_dropped group by stream, epoch
), both_sides as (
    select stream, epoch, (coalesce(k.events, 0) + coalesce(d.events, 0))::bigint as raw_events,
           coalesce(c.counted, 0) as counted
      from counted c
      full join kept k using (stream, epoch)
      full join dropped d using (stream, epoch)
)
select stream, epoch, raw_events, counted, counted - raw_events as difference
  from both_sides
 where raw_events <> counted
 order by stream, epoch
