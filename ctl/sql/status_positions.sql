-- Who counts which stream, how far, and for how long the lease holds, in s (0: it has run out).
select stream, last_id, epoch, coalesce(owner, '') as owner,
       greatest(0, ceil(extract(epoch from lease_until - clock_timestamp())))::bigint as lease_s
  from stream_positions
 order by stream
