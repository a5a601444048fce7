-- Take the lease of a stream that nobody holds, or that is ours. A row: we own it.
-- $1 text stream; $2 text owner
INSERT INTO stream_positions AS p (stream, owner, lease_until)
VALUES ($1, $2, clock_timestamp() + interval '3 s')
ON CONFLICT (stream) DO UPDATE
   SET owner = excluded.owner, lease_until = excluded.lease_until
 WHERE p.owner IS NULL OR p.owner = excluded.owner OR p.lease_until < clock_timestamp()
RETURNING epoch, last_id, base::text, counted + duplicates + rejected + conflicts AS processed, lost,
          batches, added_seen::text
