-- Batches whose rejected entries are not what was rejected, as far as retention has left them; at most 10, with the least
-- and the greatest id that there is. And entries that are of no batch.
with found as materialized (
    select stream, batch, count(*) as entries, min(rejected_id) as first_id, max(rejected_id) as last_id,
           sha256(string_agg(rejected_checksum(r), '' order by rejected_id)) as checksum
      from rejected_events r
     group by stream, batch
), compared as (
    select coalesce(s.stream, f.stream) as stream, coalesce(s.batch, f.batch) as batch, f.first_id, f.last_id,
           case when s.batch is null
                then case when f.batch is null or not exists (select from stream_batches_dropped d where d.stream = f.stream)
                               or f.batch >= (select min(k.batch) from stream_batches k where k.stream = f.stream)
                          then 'rejected by no batch' end
                when coalesce(f.entries, 0) = s.rejected + s.conflicts
                then case when f.checksum is distinct from s.rejects then 'altered' end
                when coalesce(f.entries, 0) > s.rejected + s.conflicts then 'more than the batch rejected'
                when not exists (select from rejected_events_dropped d
                                  where d.stream = s.stream and d.epoch = s.epoch
                                    and d.day = (s.committed_at at time zone 'UTC')::date) then 'gone' end as what
      from (select * from stream_batches where rejected + conflicts > 0) s
      full join found f on f.stream = s.stream and f.batch = s.batch
)
select * from compared where what is not null order by stream, batch limit 10
