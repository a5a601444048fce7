-- Entries among those that are read again that were repeats, and what they said: see read_counted_again.sql.
-- $1 text stream; $2, $3 int8 ms of the first and the last of them, cut to 63 bits
SELECT u.ms, u.seq, u.content
  FROM generate_series(1, (SELECT epoch FROM stream_positions WHERE stream = $1)) AS e (epoch)
 CROSS JOIN LATERAL (
       SELECT coalesce(min(l.entry_last_ms), $3::bigint) AS ms
         FROM usage_repeats l WHERE l.stream = $1 AND l.epoch = e.epoch AND l.entry_last_ms > $3) after
  JOIN usage_repeats r ON r.stream = $1 AND r.epoch = e.epoch AND r.entry_last_ms BETWEEN $2 AND after.ms
 CROSS JOIN LATERAL unnest(r.entry_ms, r.entry_seq, r.contents) AS u (ms, seq, content)
 WHERE u.ms BETWEEN $2 AND $3
