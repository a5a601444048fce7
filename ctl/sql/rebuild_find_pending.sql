-- Batches whose minute sums wait to be folded: their events are not yet in the minutes.
select stream, count(*) as batches, min(batch) as first_batch, max(batch) as last_batch
  from usage_pending
 group by stream
 order by stream
