-- Raw events that are of no batch of the chain, or of another time than it; at most 10.
select b.stream, b.batch, b.epoch, min(b.slice) as slice,
       case when s.batch is null then 'of no batch of this stream and epoch' else 'of another time than its batch' end as what
  from usage_batches b
  left join stream_batches s on s.batch = b.batch and s.stream = b.stream and s.epoch = b.epoch
 where s.batch is null or b.committed_at <> s.committed_at or b.day <> (s.committed_at at time zone 'UTC')::date
 group by b.stream, b.batch, b.epoch, s.batch
 order by b.stream, b.batch
 limit 10
