-- Locks events that are due for this transaction, in the order that Stripe made them: those that a customer waits for, with
-- what else waits of that customer, and then those that have waited longest. These are always a quarter, but beside a customer
-- who is blocked an eighth, so that the transaction is short. What a customer has in another transaction's hands is left to
-- that one, and so is what comes after it, so that the events of a customer are worked in the order they came.
-- $1 bigint: at most so many
WITH urgent AS MATERIALIZED (
    SELECT e.*
      FROM webhook_events e
     WHERE e.state = 'received' AND e.priority < 2 AND e.next_attempt_at <= now()
     ORDER BY e.priority, e.next_attempt_at
     LIMIT ($1::bigint + 3) / 4
       FOR UPDATE SKIP LOCKED
), theirs AS MATERIALIZED (
    SELECT e.*
      FROM (SELECT u.customer_id, min(u.priority) AS priority FROM urgent u WHERE u.customer_id IS NOT NULL
             GROUP BY u.customer_id ORDER BY 2) c
     CROSS JOIN LATERAL (SELECT x.* FROM webhook_events x
                          WHERE x.customer_id = c.customer_id AND x.state = 'received' AND x.next_attempt_at <= now()
                            AND x.event_id NOT IN (SELECT u.event_id FROM urgent u)
                          ORDER BY x.next_attempt_at LIMIT greatest($1::bigint / 2, 1)
                            FOR UPDATE SKIP LOCKED) e
     LIMIT greatest($1::bigint / 2, 1)
), others AS MATERIALIZED (
    SELECT e.*
      FROM webhook_events e
     WHERE e.state = 'received' AND e.priority >= 2 AND e.next_attempt_at <= now()
       AND e.event_id NOT IN (SELECT t.event_id FROM theirs t)
     ORDER BY e.next_attempt_at
     LIMIT greatest(0, least($1::bigint - (SELECT count(*) FROM urgent) - (SELECT count(*) FROM theirs),
                             CASE WHEN EXISTS (SELECT FROM urgent u WHERE u.priority = 0)
                                  THEN greatest($1::bigint / 8, 1) ELSE $1::bigint END))
       FOR UPDATE SKIP LOCKED
), picked AS MATERIALIZED (
    SELECT p.*,
           p.customer_id IS NULL
           OR pg_try_advisory_xact_lock(hashtextextended('meterline events of ' || p.customer_id, 0)) AS is_ours
      FROM (TABLE urgent UNION ALL TABLE theirs UNION ALL TABLE others) p
)
SELECT p.event_id, p.type, p.attempts, p.payload, (extract(epoch FROM now() - p.received_at) * 1000)::int8 AS waited_ms
  FROM picked p
 WHERE p.is_ours
   -- LIMIT keeps it a look-up for each of them.
   AND (SELECT o.event_id FROM webhook_events o
         WHERE o.customer_id = p.customer_id AND o.state = 'received' AND o.next_attempt_at < p.next_attempt_at
           AND o.event_id NOT IN (SELECT x.event_id FROM picked x WHERE x.is_ours) LIMIT 1) IS NULL
 ORDER BY p.created_at, p.received_at, p.event_id
 LIMIT $1::bigint
