-- Messages to others by state, and the age of the oldest, in s; what was sent is not counted, since it is kept for long.
SELECT s.state, count(m.state) AS count,
       floor(extract(epoch FROM clock_timestamp() - min(m.waiting_since)))::bigint AS oldest_s
  FROM unnest(ARRAY['waiting', 'failed']) WITH ORDINALITY AS s (state, place)
  LEFT JOIN outgoing_messages m ON m.state = s.state AND m.state IN ('waiting', 'failed')
 GROUP BY s.state, s.place
 ORDER BY s.place
