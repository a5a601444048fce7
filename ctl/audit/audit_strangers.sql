-- Raw events that belong to no batch of the chain, or have another time than their batch; at most 10.
SELECT b.stream, b.batch, b.epoch, min(b.slice) AS slice,
       CASE WHEN s.batch IS NULL THEN 'of no batch of this stream and epoch' ELSE 'of another time than its batch' END AS what
  FROM usage_batches b
  LEFT JOIN stream_batches s ON s.batch = b.batch AND s.stream = b.stream AND s.epoch = b.epoch
 WHERE s.batch IS NULL OR b.committed_at <> s.committed_at OR b.day <> (s.committed_at AT TIME ZONE 'UTC')::date
 GROUP BY b.stream, b.batch, b.epoch, s.batch
 ORDER BY b.stream, b.batch
 LIMIT 10
