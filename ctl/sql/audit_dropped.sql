-- What retention tallied, and cannot have: a day that is too young or still there, or a row that was written by somebody
-- else. By these minutes and batches are left out of what is checked.
select d.stream, d.epoch, d.day, d.events,
       case when d.checksum is distinct from dropped_day_checksum(d) then 'altered, or not written by retention'
            when (d.dropped_at at time zone 'UTC')::date < d.day + 36 then 'dropped too early'
            else 'raw events of that day are there' end as what
  from usage_batches_dropped d
 where d.checksum is distinct from dropped_day_checksum(d) or (d.dropped_at at time zone 'UTC')::date < d.day + 36
    or exists (select from usage_batches b where b.day = d.day and b.stream = d.stream and b.epoch = d.epoch)
union all
select d.stream, d.epoch, null, d.counted, 'the anchor of its batches was altered'
  from stream_batches_dropped d
 where d.checksum is distinct from dropped_batches_checksum(d)
 order by 1, 2, 3
 limit 10
