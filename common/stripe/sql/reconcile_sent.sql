-- What we sent for one customer's meter in a period, whatever the tenant: the sum, or the newest value. Also the bounds
-- within which Stripe's figure may lie: nobody knows whether it includes what is in flight, in doubt, or was sent just now,
-- since Stripe's summaries are late by minutes. mark changes whenever one of the submissions does.
-- $1 text customer, $2 text event_name, $3 text subscription item or null
-- $4 timestamptz, $5 timestamptz: from, until before
-- $6 bool: the newest value counts
-- $7 bool: count what is `sent` alone
WITH submissions AS (
    SELECT s.quantity, s.usage_at, s.state = 'sent' AS sent,
           NOT $7::bool AND (s.state <> 'sent' OR s.sent_at > now() - interval '10 minutes') AS open
      FROM usage_submissions s
     WHERE s.stripe_customer_id = $1 AND s.event_name = $2 AND s.state <> 'void'
       AND s.stripe_subscription_item_id IS NOT DISTINCT FROM $3
       AND s.usage_at >= $4::timestamptz AND s.usage_at < $5::timestamptz
       AND (s.state IN ('sent', 'sending', 'in_doubt')
            OR s.state = 'pending' AND s.first_sent_at IS NOT NULL
            OR s.state = 'failed' AND s.doubt_read_at IS NOT NULL)
), sums AS (
    SELECT coalesce(sum(quantity) FILTER (WHERE sent), 0) AS sent,
           coalesce(sum(quantity) FILTER (WHERE open), 0) AS open,
           coalesce(sum(quantity) FILTER (WHERE sent AND NOT open), 0) AS certain,
           coalesce(sum(least(quantity, 0)) FILTER (WHERE open), 0) AS less,
           coalesce(sum(greatest(quantity, 0)) FILTER (WHERE open), 0) AS more,
           (array_agg(quantity ORDER BY usage_at DESC) FILTER (WHERE sent))[1] AS newest_sent,
           max(usage_at) FILTER (WHERE sent AND NOT open) AS certain_at,
           count(*) AS n, count(*) FILTER (WHERE sent) AS n_sent
      FROM submissions
), newest AS (
    SELECT coalesce(min(o.quantity), 0) AS low, coalesce(max(o.quantity), 0) AS high
      FROM (SELECT u.quantity FROM submissions u, sums WHERE u.usage_at >= coalesce(certain_at, '-infinity')
                                                  AND (u.open OR u.usage_at = certain_at)
            UNION ALL
            SELECT 0 FROM sums WHERE certain_at IS NULL) AS o (quantity)
)
SELECT CASE WHEN $6::bool THEN coalesce(newest_sent, 0) ELSE sent END AS sent, open,
       CASE WHEN $6::bool THEN low ELSE certain + less END AS low,
       CASE WHEN $6::bool THEN high ELSE certain + more END AS high,
       CASE WHEN n = 0 THEN '0' ELSE n || '/' || n_sent END AS mark
  FROM sums, newest
