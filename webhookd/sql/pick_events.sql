-- Locks events that are due for this transaction, in the order that Stripe made them: those that unblock a customer,
-- with what else waits of that customer, and then those that have waited longest, which are always a quarter. What a
-- customer has in another transaction's hands is left to that one, and so is what comes after it, so that the events of a
-- customer are worked in the order they came.
-- $1 bigint: at most so many
WITH first AS MATERIALIZED (
    SELECT e.*
      FROM webhook_events e
     WHERE e.state = 'received' AND e.unblocks AND e.next_attempt_at <= now()
     ORDER BY e.next_attempt_at
     LIMIT ($1::bigint + 1) / 2
       FOR UPDATE SKIP LOCKED
), theirs AS MATERIALIZED (
    SELECT e.*
      FROM (SELECT DISTINCT f.customer_id FROM first f WHERE f.customer_id IS NOT NULL) c
     CROSS JOIN LATERAL (SELECT x.* FROM webhook_events x
                          WHERE x.customer_id = c.customer_id AND x.state = 'received' AND NOT x.unblocks
                            AND x.next_attempt_at <= now()
                          ORDER BY x.next_attempt_at LIMIT $1::bigint / 4
                            FOR UPDATE SKIP LOCKED) e
     LIMIT $1::bigint / 4
), others AS MATERIALIZED (
    SELECT e.*
      FROM webhook_events e
     WHERE e.state = 'received' AND e.next_attempt_at <= now()
       AND e.event_id NOT IN (SELECT f.event_id FROM first f UNION ALL SELECT t.event_id FROM theirs t)
     ORDER BY e.next_attempt_at
     LIMIT $1::bigint - (SELECT count(*) FROM first) - (SELECT count(*) FROM theirs)
       FOR UPDATE SKIP LOCKED
), picked AS MATERIALIZED (
    SELECT p.*,
           p.customer_id IS NULL
           OR pg_try_advisory_xact_lock(hashtextextended('meterline events of ' || p.customer_id, 0)) AS is_ours
      FROM (TABLE first UNION ALL TABLE theirs UNION ALL TABLE others) p
)
SELECT p.event_id, p.type, p.attempts, p.payload, (extract(epoch FROM now() - p.received_at) * 1000)::int8 AS waited_ms
  FROM picked p
 WHERE p.is_ours
   AND NOT EXISTS (SELECT FROM webhook_events o
                    WHERE o.customer_id = p.customer_id AND o.state = 'received' AND o.next_attempt_at < p.next_attempt_at
                      AND o.event_id NOT IN (SELECT x.event_id FROM picked x WHERE x.is_ours))
 ORDER BY p.created_at, p.received_at, p.event_id
