-- Streams and epochs that lost entries, and how many of these a person has accepted, when, and by which login.
with books as (
    select stream, epoch, lost, 'open' as reason, updated_at as at from stream_positions
    union all
    select stream, epoch, lost, reason, closed_at from stream_epochs
)
select b.stream, b.epoch, b.reason, to_char(b.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as until, b.lost,
       coalesce(a.lost, 0) as accepted,
       to_char(a.accepted_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as accepted_at, a.accepted_by
  from books b
  left join lost_accepted a using (stream, epoch)
 where b.lost > 0
 order by b.stream, b.epoch
