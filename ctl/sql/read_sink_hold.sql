-- Is the sink held, why (behind: Redis knew of more than PostgreSQL has; unknown: Redis was empty), and what was lost
-- where: a row for each stream and epoch that lost entries, and one without a stream if there is none. unseen: no sink has
-- compared the ledger with Redis since PostgreSQL was started.
select (select value from ledger_state where name = 'sink_hold') as sink_hold,
       l.stream, l.epoch, l.lost, coalesce(i.suspicion, 'behind') as why,
       i.life is not null and i.life <> ledger_life() as unseen
  from ledger_identity i
  left join (select stream, epoch, lost from stream_positions where lost > 0
              union all
             select stream, epoch, lost from stream_epochs where lost > 0) as l on true
 order by l.stream, l.epoch
