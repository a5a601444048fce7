-- Batches that do not follow from the one before, and positions that do not follow from the newest batch: something
-- was altered, left out or inserted. At most 10, in the order of each stream.
WITH ended AS MATERIALIZED (
    SELECT stream, epoch, last_id, lost, ended_epoch_checksum(e) AS checksum FROM stream_epochs e
), anchors AS MATERIALIZED (
    SELECT DISTINCT ON (stream) stream, number, seal FROM stream_batches_dropped ORDER BY stream, number DESC
), links AS (
    SELECT b AS link, b.stream, b.number, b.batch, b.epoch, b.seal, b.ended,
           lag(b.number) OVER chain AS before_number, lag(b.seal) OVER chain AS before_seal
      FROM stream_batches b
    WINDOW chain AS (PARTITION BY b.stream ORDER BY b.number)
), judged AS (
    SELECT l.stream, l.number, l.batch, l.epoch,
           CASE WHEN l.number <> coalesce(l.before_number, a.number, 0) + 1 THEN 'batches before it are gone'
                WHEN l.seal <> stream_batch_seal(coalesce(l.before_seal, a.seal), l.link)
                THEN 'what stands in stream_batches was altered'
                WHEN l.ended IS DISTINCT FROM e.checksum THEN 'the epoch before it was altered' END AS what
      FROM links l
      LEFT JOIN anchors a ON a.stream = l.stream AND l.before_number IS NULL
      LEFT JOIN ended e ON e.stream = l.stream AND e.epoch = l.epoch - 1
), newest AS (
    SELECT DISTINCT ON (stream) stream, number, epoch, last_id, base, lost, seal
      FROM stream_batches ORDER BY stream, number DESC
), positions AS (
    SELECT p.stream, p.batches, NULL::bigint, p.epoch,
           CASE WHEN coalesce(n.number, a.number, 0) <> p.batches THEN 'the newest batches are gone'
                WHEN coalesce(n.seal, a.seal) IS DISTINCT FROM p.seal THEN 'the position has another seal'
                WHEN n.epoch = p.epoch AND n.last_id <> p.last_id THEN 'the position is at another entry'
                WHEN n.epoch = p.epoch AND n.base <> p.base THEN 'the epoch''s base was moved'
                WHEN n.epoch = p.epoch AND n.lost > p.lost THEN 'losses were taken back'
                WHEN n.epoch > p.epoch THEN 'the position is of an earlier epoch'
                WHEN n.epoch < p.epoch AND (e.last_id IS DISTINCT FROM n.last_id OR e.lost < n.lost)
                THEN 'the epoch that ended was altered' END AS what
      FROM stream_positions p
      LEFT JOIN newest n USING (stream)
      LEFT JOIN anchors a USING (stream)
      LEFT JOIN ended e ON e.stream = p.stream AND e.epoch = n.epoch
)
SELECT * FROM (SELECT * FROM judged UNION ALL SELECT * FROM positions) x
 WHERE what IS NOT NULL
 ORDER BY stream, number, batch NULLS LAST
 LIMIT 10
