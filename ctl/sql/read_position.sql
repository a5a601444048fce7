-- How far a stream's current epoch is counted.
-- $1 text: stream
select epoch, last_id, base::bigint, counted, duplicates, rejected, conflicts, lost
  from stream_positions
 where stream = $1
