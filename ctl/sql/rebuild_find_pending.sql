-- Batches whose minute sums wait to be folded: their events are not yet in the minutes. A row of sums alone is no batch.
select stream, count(*) as batches, min(batch) as first_batch, max(batch) as last_batch
  from usage_pending p
 where exists (select from usage_batches b where b.batch = p.batch)
 group by stream
 order by stream
