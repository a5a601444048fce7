-- What waits to be sent to Stripe, since when, and who is sending.
SELECT 'sink' AS stage, 'submissions' AS queue, count(*) AS depth, count(*) AS waiting,
       floor(extract(epoch FROM clock_timestamp() - min(created_at)))::bigint AS oldest_s,
       string_agg(DISTINCT owner, ',')
           FILTER (WHERE state = 'sending' AND lease_until > clock_timestamp()) AS owner
  FROM usage_submissions
 WHERE state IN ('pending', 'sending')
