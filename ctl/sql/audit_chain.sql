-- Batches that do not follow from the one before, and positions that do not follow from the newest: what was altered,
-- left out or put in between. At most 10, those of each stream in their order.
with ended as materialized (
    select stream, epoch, last_id, lost, ended_epoch_checksum(e) as checksum from stream_epochs e
), anchors as materialized (
    select distinct on (stream) stream, number, seal from stream_batches_dropped order by stream, number desc
), links as (
    select b as link, b.stream, b.number, b.batch, b.epoch, b.seal, b.ended,
           lag(b.number) over chain as before_number, lag(b.seal) over chain as before_seal
      from stream_batches b
    window chain as (partition by b.stream order by b.number)
), judged as (
    select l.stream, l.number, l.batch, l.epoch,
           case when l.number <> coalesce(l.before_number, a.number, 0) + 1 then 'batches before it are gone'
                when l.seal <> stream_batch_seal(coalesce(l.before_seal, a.seal), l.link)
                then 'what stands in stream_batches was altered'
                when l.ended is distinct from e.checksum then 'the epoch before it was altered' end as what
      from links l
      left join anchors a on a.stream = l.stream and l.before_number is null
      left join ended e on e.stream = l.stream and e.epoch = l.epoch - 1
), newest as (
    select distinct on (stream) stream, number, epoch, last_id, base, lost, seal
      from stream_batches order by stream, number desc
), positions as (
    select p.stream, p.batches, null::bigint, p.epoch,
           case when coalesce(n.number, a.number, 0) <> p.batches then 'the newest batches are gone'
                when coalesce(n.seal, a.seal) is distinct from p.seal then 'the position has another seal'
                when n.epoch = p.epoch and n.last_id <> p.last_id then 'the position is at another entry'
                when n.epoch = p.epoch and n.base <> p.base then 'the epoch''s base was moved'
                when n.epoch = p.epoch and n.lost > p.lost then 'losses were taken back'
                when n.epoch > p.epoch then 'the position is of an earlier epoch'
                when n.epoch < p.epoch and (e.last_id is distinct from n.last_id or e.lost < n.lost)
                then 'the epoch that ended was altered' end as what
      from stream_positions p
      left join newest n using (stream)
      left join anchors a using (stream)
      left join ended e on e.stream = p.stream and e.epoch = n.epoch
)
select * from (select * from judged union all select * from positions) x
 where what is not null
 order by stream, number, batch nulls last
 limit 10
