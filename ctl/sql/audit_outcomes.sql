-- Streams and epochs whose outcomes, as booked, are not those of their batches, dropped ones too.
with booked as (
    select stream, epoch, counted, duplicates, rejected, conflicts from stream_positions
    union all
    select stream, epoch, counted, duplicates, rejected, conflicts from stream_epochs
), summed as (
    select stream, epoch, sum(counted) as counted, sum(duplicates) as duplicates, sum(rejected) as rejected,
           sum(conflicts) as conflicts
      from (select stream, epoch, counted, duplicates, rejected, conflicts from stream_batches
             union all
            select stream, epoch, counted, duplicates, rejected, conflicts from stream_batches_dropped) b
     group by stream, epoch
)
select stream, epoch, coalesce(s.counted, 0)::bigint as batches_counted, coalesce(b.counted, 0) as counted,
       coalesce(s.duplicates, 0)::bigint as batches_duplicates, coalesce(b.duplicates, 0) as duplicates,
       coalesce(s.rejected, 0)::bigint as batches_rejected, coalesce(b.rejected, 0) as rejected,
       coalesce(s.conflicts, 0)::bigint as batches_conflicts, coalesce(b.conflicts, 0) as conflicts
  from booked b
  full join summed s using (stream, epoch)
 where (coalesce(s.counted, 0), coalesce(s.duplicates, 0), coalesce(s.rejected, 0), coalesce(s.conflicts, 0))
       <> (coalesce(b.counted, 0), coalesce(b.duplicates, 0), coalesce(b.rejected, 0), coalesce(b.conflicts, 0))
 order by stream, epoch
