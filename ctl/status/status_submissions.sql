-- Submissions by state, and the age of the oldest, in s.
SELECT s.state, count(u.state) AS count,
       floor(extract(epoch FROM clock_timestamp() - min(u.created_at)))::bigint AS oldest_s
  FROM unnest(ARRAY['pending', 'sending', 'held', 'in_doubt', 'failed', 'late', 'sent', 'void'])
       WITH ORDINALITY AS s (state, place)
  LEFT JOIN usage_submissions u ON u.state = s.state
 GROUP BY s.state, s.place
 ORDER BY s.place
