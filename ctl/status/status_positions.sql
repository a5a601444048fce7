-- Who counts which stream, up to where, how far back repeated ids are known, and for how many seconds the lease still
-- holds (0: it has run out).
SELECT stream, last_id, epoch, coalesce(owner, '') AS owner,
       dedupe_window_s AS window_s,
       greatest(0, ceil(extract(epoch FROM lease_until - clock_timestamp())))::bigint AS lease_s
  FROM stream_positions
 ORDER BY stream
