-- Submissions in doubt whose reading at Stripe is due: the first one 2 h after the last try, the second one an hour
-- later. A reading from before the last try does not count. Nothing is due while sinks are held. After a
-- restore: all that is not settled, but of customers that were deleted at Stripe. Of usage records also what
-- the item's total can be made of.
-- $1 text: identifier after which to go on
-- $2 text: this one alone, or null
-- $3 bool: after a restore
-- $4 int8: rows at most
-- $5 text: of this tenant alone, or null
WITH open AS (
    SELECT s.*, coalesce(s.last_sent_at, s.first_sent_at, s.created_at) + interval '2 hours' AS due_at
      FROM usage_submissions s
     WHERE s.identifier > $1 AND ($2::text IS NULL OR s.identifier = $2) AND ($5::text IS NULL OR s.tenant = $5)
       AND (s.state = 'in_doubt' OR $3::bool AND s.state IN ('pending', 'sending'))
       AND CASE WHEN $3::bool
                THEN NOT EXISTS (SELECT FROM billing_customers b WHERE b.stripe_customer_id = s.stripe_customer_id
                                                                   AND b.deleted_at IS NOT NULL)
                ELSE NOT EXISTS (SELECT FROM ledger_state g, ledger_identity i
                                  WHERE g.name = 'sink_hold' AND (g.value <> 0 OR i.life <> ledger_life())) END
), due AS (
    SELECT o.*, o.doubt_read_at IS NOT NULL AND o.doubt_read_at >= o.due_at AS read_before
      FROM open o
     WHERE $3::bool OR o.due_at < now()
       AND (o.doubt_read_at IS NULL OR o.doubt_read_at < o.due_at OR o.doubt_read_at < now() - interval '1 hour')
     ORDER BY o.identifier
     LIMIT $4::int8
)
SELECT d.identifier, d.stripe_customer_id, d.event_name, d.stripe_subscription_item_id AS item,
       m.aggregation NOT IN ('sum', 'count') AS newest,
       extract(epoch FROM CASE WHEN d.stripe_subscription_item_id IS NULL THEN d.usage_at
                               ELSE p.period_start END)::int8 AS start_s,
       extract(epoch FROM CASE WHEN d.stripe_subscription_item_id IS NULL THEN d.usage_at + interval '1 minute'
                               ELSE p.period_end END)::int8 AS end_s,
       d.quantity, d.read_before, CASE WHEN d.read_before THEN d.doubt_quantity END AS first,
       r.sent, r.doubtful, r.moving, d.known_before, d.state
  FROM due d
  JOIN metrics m ON m.metric = d.metric
 CROSS JOIN LATERAL billing_period(d.tenant, d.usage_at) AS p
  LEFT JOIN LATERAL (
       SELECT coalesce(sum(u.quantity) FILTER (WHERE u.state = 'sent'), 0) AS sent,
              coalesce(sum(u.quantity) FILTER (WHERE u.state IN ('in_doubt', 'failed')
                                                     OR $3::bool AND u.state <> 'sent'), 0) AS doubtful,
              count(*) FILTER (WHERE u.state IN ('pending', 'sending') AND u.first_sent_at IS NOT NULL
                                     AND NOT $3::bool) AS moving
         FROM usage_submissions u
        WHERE d.stripe_subscription_item_id IS NOT NULL AND u.tenant = d.tenant AND u.metric = d.metric
          AND u.stripe_subscription_item_id = d.stripe_subscription_item_id
          AND u.usage_at >= p.period_start AND u.usage_at < p.period_end
          AND (u.state IN ('sent', 'in_doubt', 'pending', 'sending')
               OR u.state = 'failed' AND u.doubt_read_at IS NOT NULL)) AS r ON true
 ORDER BY d.identifier
