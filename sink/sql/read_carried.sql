-- Late submissions that a person had carried over, the first one of each tenant and metric, in the shape of
-- read_dirty.sql: the period is the tenant's current one, the quantity is that of the late one, and the number of the
-- last claim that of the period that the late one counts for, and its successor too: edges may have moved since it was
-- claimed. What has no customer, no current period of a subscription or no way to be billed there stays late, and
-- so do values that replace each other: an old one would replace the current one. What is negative stays late too until
-- there is enough to subtract it from in the current period.
-- $1 text, $2 text, $3 timestamptz: tenant, metric and period_start after which to go on
-- $4 int8: rows at most
-- $5 text[]: transports of this build
-- $6 text[]: tenants; NULL: all
-- $7 int8: those of that half, 1 or 2; 0: all
-- $8 int8: sink_hold; not 0: only those that are released
SELECT u.tenant, u.metric, p.period_start, p.period_end, u.quantity, 0::int8 AS version, true AS additive,
       m.transport, m.stripe_event_name AS event_name, b.stripe_customer_id AS customer, i.item,
       false AS outside, false AS unmapped, billed_from(p.period_start, s.billing_cycle_anchor, s.started_at) AS billed_from,
       false AS invoice_final, 0::numeric AS claimed, NULL::numeric AS held,
       coalesce((SELECT max(n.claim) FROM usage_submissions n
                  WHERE n.tenant = u.tenant AND n.metric = u.metric AND n.period_start = o.period_start
                    AND n.usage_at >= o.period_start), 0)::int8 AS claims,
       h.first_at, h.last_at, NULL::timestamptz AS free_at, 0::int8 AS periods_version, false AS resummed,
       ARRAY[u.identifier] AS replaced, o.period_start AS carried_from,
       (l.place).*
  FROM usage_submissions u
  JOIN metrics m ON m.metric = u.metric AND m.aggregation IN ('sum', 'count')
                AND m.transport = ANY ($5::text[])
  JOIN billing_customers b ON b.tenant = u.tenant AND b.deleted_at IS NULL AND b.contested_since IS NULL
 CROSS JOIN LATERAL submission_period(u.tenant, u.usage_at, u.period_start, u.carried) AS o
 CROSS JOIN LATERAL billing_period(u.tenant, now()) AS p
  JOIN subscriptions s ON s.stripe_subscription_id = p.stripe_subscription_id
  LEFT JOIN LATERAL (
       SELECT x.stripe_subscription_item_id AS item
         FROM subscription_items x
        WHERE m.transport = 'usage_records' AND x.stripe_subscription_id = p.stripe_subscription_id
          AND x.metric = u.metric
        ORDER BY x.stripe_subscription_item_id DESC
        LIMIT 1) AS i ON true
 CROSS JOIN LATERAL (
       SELECT min(n.usage_at) AS first_at, max(n.usage_at) AS last_at
         FROM usage_submissions n
        WHERE n.tenant = u.tenant AND n.metric = u.metric
          AND n.usage_at >= p.period_start AND n.usage_at < p.period_end) AS h
 CROSS JOIN LATERAL (
       SELECT CASE WHEN u.quantity < 0
                   THEN subtract_place(u.tenant, u.metric, p.period_start, p.period_end, b.stripe_customer_id,
                                       m.stripe_event_name, -u.quantity) END AS place) AS l
 WHERE u.state = 'late' AND u.decision = 'carry'
   AND (u.tenant, u.metric, p.period_start) > ($1, $2, $3::timestamptz) AND ($6::text[] IS NULL OR u.tenant = ANY ($6))
   AND ($8::int8 = 0 OR is_released(u.tenant, $8))
   AND CASE WHEN p.period_start < (SELECT proof_needed_before())
            THEN is_proven(u.tenant, u.metric, b.stripe_customer_id, p.period_start, p.period_end,
                           (SELECT proof_needed_before()))
            ELSE true END
   AND ($7::int8 = 0 OR (hashtext(u.tenant) & 1) + 1 = $7)
   AND (m.transport <> 'usage_records' OR i.item IS NOT NULL)
   AND (u.quantity > 0 OR m.transport = 'usage_records' OR (l.place).units >= -u.quantity)
   AND NOT EXISTS (SELECT FROM usage_submissions e
                    WHERE e.state = 'late' AND e.decision = 'carry' AND e.tenant = u.tenant
                      AND e.metric = u.metric AND (e.period_start, e.claim) < (u.period_start, u.claim))
 ORDER BY u.tenant, u.metric
 LIMIT $4
   FOR UPDATE of u
