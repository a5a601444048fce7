-- Rejected entries by reason: how many, how many were not replayed, and the age of the newest, in s.
SELECT reason, count(*) AS entries, count(*) FILTER (WHERE replayed_at IS NULL) AS pending,
       floor(extract(epoch FROM clock_timestamp() - max(rejected_at)))::bigint AS newest_s
  FROM rejected_events
 GROUP BY reason
 ORDER BY reason
