-- Batches whose repeated entries differ from what the chain says, as far as retention has left them; at most 10.
WITH compared AS (
    SELECT coalesce(s.stream, r.stream) AS stream, coalesce(s.batch, r.batch) AS batch,
           CASE WHEN s.batch IS NULL THEN 'repeats of no batch of this stream and epoch'
                WHEN r.batch IS NOT NULL THEN CASE WHEN s.repeats IS DISTINCT FROM repeats_checksum(r) THEN 'its repeats were altered' END
                WHEN NOT EXISTS (SELECT FROM usage_batches_dropped d
                                  WHERE d.stream = s.stream AND d.epoch = s.epoch
                                    AND d.day = (s.committed_at AT TIME ZONE 'UTC')::date) THEN 'its repeats are gone' END AS what
      FROM stream_batches s
      FULL JOIN usage_repeats r ON r.batch = s.batch AND r.stream = s.stream AND r.epoch = s.epoch
     WHERE r.batch IS NOT NULL OR s.repeats IS NOT NULL
)
SELECT * FROM compared WHERE what IS NOT NULL ORDER BY stream, batch LIMIT 10
