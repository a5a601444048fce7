-- A person knows of what was lost: a row for each stream and epoch whose losses were not accepted, or not all.
with books as (
    select stream, epoch, lost from stream_positions
    union all
    select stream, epoch, lost from stream_epochs
)
insert into lost_accepted as a (stream, epoch, lost)
select stream, epoch, lost from books where lost > 0
    on conflict (stream, epoch) do update
   set lost = excluded.lost, accepted_at = now(), accepted_by = session_user
 where a.lost < excluded.lost
returning stream, epoch, lost
