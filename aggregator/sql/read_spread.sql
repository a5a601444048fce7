-- How many shards there are, how many processes run, and how many of them joined before this one.
-- $1 text owner
SELECT (SELECT value FROM ledger_state WHERE name = 'stream_shards'),
       count(*),
       count(*) FILTER (WHERE (m.joined_at, m.owner) < (SELECT me.joined_at, me.owner FROM aggregator_members me
                                                         WHERE me.owner = $1))
  FROM aggregator_members m
 WHERE m.seen_until >= clock_timestamp()
