-- Tallies that retention cannot have written: of a day that is too young or still there, or a row that somebody else
-- wrote. What is tallied is left out of other checks, so a false tally would hide losses.
SELECT d.stream, d.epoch, d.day, d.events,
       CASE WHEN d.checksum IS DISTINCT FROM dropped_day_checksum(d) THEN 'altered, or not written by retention'
            WHEN (d.dropped_at AT TIME ZONE 'UTC')::date < d.day + 36 THEN 'dropped too early'
            ELSE 'raw events of that day are there' END AS what
  FROM usage_batches_dropped d
 WHERE d.checksum IS DISTINCT FROM dropped_day_checksum(d) OR (d.dropped_at AT TIME ZONE 'UTC')::date < d.day + 36
    OR EXISTS (SELECT FROM usage_batches b WHERE b.day = d.day AND b.stream = d.stream AND b.epoch = d.epoch)
UNION ALL
SELECT d.stream, d.epoch, NULL, d.counted, 'the anchor of its batches was altered'
  FROM stream_batches_dropped d
 WHERE d.checksum IS DISTINCT FROM dropped_batches_checksum(d)
 ORDER BY 1, 2, 3
 LIMIT 10
