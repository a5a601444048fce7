-- Batches whose rejected entries differ from what was rejected, as far as retention has left them; at most 10, with
-- the least and the greatest id. Also entries that belong to no batch.
WITH found AS MATERIALIZED (
    SELECT stream, batch, count(*) AS entries, min(rejected_id) AS first_id, max(rejected_id) AS last_id,
           sha256(string_agg(rejected_checksum(r), '' ORDER BY rejected_id)) AS checksum
      FROM rejected_events r
     GROUP BY stream, batch
), compared AS (
    SELECT coalesce(s.stream, f.stream) AS stream, coalesce(s.batch, f.batch) AS batch, f.first_id, f.last_id,
           CASE WHEN s.batch IS NULL
                THEN CASE WHEN f.batch IS NULL OR NOT EXISTS (SELECT FROM stream_batches_dropped d WHERE d.stream = f.stream)
                               OR f.batch >= (SELECT min(k.batch) FROM stream_batches k WHERE k.stream = f.stream)
                          THEN 'rejected by no batch' END
                WHEN coalesce(f.entries, 0) = s.rejected + s.conflicts
                THEN CASE WHEN f.checksum IS DISTINCT FROM s.rejects THEN 'altered' END
                WHEN coalesce(f.entries, 0) > s.rejected + s.conflicts THEN 'more than the batch rejected'
                WHEN NOT EXISTS (SELECT FROM rejected_events_dropped d
                                  WHERE d.stream = s.stream AND d.epoch = s.epoch
                                    AND d.day = (s.committed_at AT TIME ZONE 'UTC')::date) THEN 'gone' END AS what
      FROM (SELECT * FROM stream_batches WHERE rejected + conflicts > 0) s
      FULL JOIN found f ON f.stream = s.stream AND f.batch = s.batch
)
SELECT * FROM compared WHERE what IS NOT NULL ORDER BY stream, batch LIMIT 10
