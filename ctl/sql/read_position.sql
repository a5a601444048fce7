-- Up to where a stream's current epoch is counted.
-- $1 text: stream
SELECT epoch, last_id, base::bigint, counted, duplicates, rejected, conflicts, lost
  FROM stream_positions
 WHERE stream = $1
