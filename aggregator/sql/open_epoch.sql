-- Redis lost data: close the current epoch with its balance and open the next one, read from the beginning.
-- $1 text stream; $2 text owner; $3 int4 the epoch to close; $4 text its last_id; $5 numeric base of the
-- new epoch, entries-added; $6 text reason
WITH old AS (
    SELECT * FROM stream_positions WHERE stream = $1 AND owner = $2 AND epoch = $3 AND last_id = $4
), closed AS (
    INSERT INTO stream_epochs (stream, epoch, last_id, added, counted, duplicates, rejected, conflicts,
                               lost, reason)
    SELECT stream, epoch, last_id, greatest(added_seen - base, processed + lost), counted, duplicates,
           rejected, conflicts, greatest(added_seen - base - processed, lost), $6
      FROM old, LATERAL (SELECT counted + duplicates + rejected + conflicts AS processed) x
    RETURNING lost
)
UPDATE stream_positions p
   SET epoch = p.epoch + 1, last_id = '0-0', base = $5::numeric, added_seen = $5::numeric, counted = 0,
       duplicates = 0, rejected = 0, conflicts = 0, lost = 0, updated_at = now()
  FROM closed
 WHERE p.stream = $1
RETURNING p.epoch, closed.lost
