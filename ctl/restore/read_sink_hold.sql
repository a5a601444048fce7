-- Whether sinks are held, why (behind: Redis knew of more than PostgreSQL has; unknown: Redis was empty; asked: by
-- `restore hold`), and what was lost: a row for each stream and epoch that lost entries, or one row without a stream.
-- unseen: no sink has compared the ledger with Redis since PostgreSQL was started.
SELECT (SELECT value FROM ledger_state WHERE name = 'sink_hold') AS sink_hold,
       l.stream, l.epoch, l.lost, coalesce(i.suspicion, 'behind') AS why,
       i.life IS NOT NULL AND i.life <> ledger_life() AS unseen
  FROM ledger_identity i
  LEFT JOIN (SELECT stream, epoch, lost FROM stream_positions WHERE lost > 0
              UNION ALL
             SELECT stream, epoch, lost FROM stream_epochs WHERE lost > 0) AS l ON true
 ORDER BY l.stream, l.epoch
