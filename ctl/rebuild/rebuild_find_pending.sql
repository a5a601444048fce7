-- Batches whose minute sums wait to be folded, so that their events are not yet in the minutes. A row of sums alone is
-- not a batch.
SELECT stream, count(*) AS batches, min(batch) AS first_batch, max(batch) AS last_batch
  FROM usage_pending p
 WHERE EXISTS (SELECT FROM usage_batches b WHERE b.batch = p.batch)
 GROUP BY stream
 ORDER BY stream
