-- Streams and epochs whose raw events, kept and dropped by retention together, are not as many as were counted.
WITH counted AS (
    SELECT stream, epoch, counted FROM stream_positions
    UNION ALL
    SELECT stream, epoch, counted FROM stream_epochs
), kept AS (
    SELECT stream, epoch, sum(events) AS events FROM usage_batches GROUP BY stream, epoch
), dropped AS (
    SELECT stream, epoch, sum(events) AS events FROM usage_batches_dropped GROUP BY stream, epoch
), both_sides AS (
    SELECT stream, epoch, (coalesce(k.events, 0) + coalesce(d.events, 0))::bigint AS raw_events,
           coalesce(c.counted, 0) AS counted
      FROM counted c
      FULL JOIN kept k USING (stream, epoch)
      FULL JOIN dropped d USING (stream, epoch)
)
SELECT stream, epoch, raw_events, counted, counted - raw_events AS difference
  FROM both_sides
 WHERE raw_events <> counted
 ORDER BY stream, epoch
