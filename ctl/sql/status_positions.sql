-- Who counts which stream, how far, how far back repeated ids are known, and for how long the lease holds, in s (0: it
-- has run out).
select stream, last_id, epoch, coalesce(owner, '') as owner,
       dedupe_window_s as window_s,
       greatest(0, ceil(extract(epoch from lease_until - clock_timestamp())))::bigint as lease_s
  from stream_positions
 order by stream
