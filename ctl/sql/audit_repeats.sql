-- Batches whose repeats are not what the chain says, as far as retention has left them; at most 10.
with compared as (
    select coalesce(s.stream, r.stream) as stream, coalesce(s.batch, r.batch) as batch,
           case when s.batch is null then 'repeats of no batch of this stream and epoch'
                when r.batch is not null then case when s.repeats is distinct from repeats_checksum(r) then 'its repeats were altered' end
                when not exists (select from usage_batches_dropped d
                                  where d.stream = s.stream and d.epoch = s.epoch
                                    and d.day = (s.committed_at at time zone 'UTC')::date) then 'its repeats are gone' end as what
      from stream_batches s
      full join usage_repeats r on r.batch = s.batch and r.stream = s.stream and r.epoch = s.epoch
     where r.batch is not null or s.repeats is not null
)
select * from compared where what is not null order by stream, batch limit 10
