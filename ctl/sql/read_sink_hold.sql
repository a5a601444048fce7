-- Is the sink held, and what was lost where: a row for each stream and epoch that lost entries, and
-- one without a stream if there is none.
select (select value from ledger_state where name = 'sink_hold') as sink_hold,
       l.stream, l.epoch, l.lost
  from (select stream, epoch, lost from stream_positions where lost > 0
        union all
        select stream, epoch, lost from stream_epochs where lost > 0) as l
 right join (select) as one on true
 order by l.stream, l.epoch
