-- What to compare with Stripe, of one page of tenants: each metric in each of their periods that is open or
-- ended up to 35 days ago, and each customer that its submissions name or that would get the next one. A tenant
-- without any of that has a row without a metric, so that the next page begins behind it. Periods are
-- walked from now backwards; the tenants by one probe of an index each.
-- $1 text: tenant after which to go on
-- $2 text: this tenant alone, or null
-- $3 timestamptz: only the periods that hold this time, or null
-- $4 bool: also metrics of which neither submissions nor totals are known
-- $5 int8: tenants a page
-- $6 timestamptz: without periods whose invoice was final by then, or null
-- $7 bool: only what is not known since a restore, and where nothing of ours is under way
WITH RECURSIVE known AS (
    SELECT (SELECT min(n.tenant)
              FROM (SELECT min(t.tenant) AS tenant FROM usage_totals t WHERE t.tenant > $1
                    UNION ALL
                    SELECT min(s.tenant) FROM usage_submissions s WHERE s.tenant > $1
                    UNION ALL
                    SELECT min(b.tenant) FROM billing_customers b WHERE b.tenant > $1) AS n) AS tenant, 1 AS place
     WHERE $2::text IS NULL
    UNION ALL
    SELECT (SELECT min(n.tenant)
              FROM (SELECT min(t.tenant) AS tenant FROM usage_totals t WHERE t.tenant > k.tenant
                    UNION ALL
                    SELECT min(s.tenant) FROM usage_submissions s WHERE s.tenant > k.tenant
                    UNION ALL
                    SELECT min(b.tenant) FROM billing_customers b WHERE b.tenant > k.tenant) AS n), k.place + 1
      FROM known k
     WHERE k.tenant IS NOT NULL AND k.place < $5::int8
), tenants AS (
    SELECT tenant FROM known WHERE tenant IS NOT NULL
    UNION ALL
    SELECT $2::text WHERE $2::text > $1
), periods AS (
    SELECT n.tenant, p.*
      FROM tenants n
     CROSS JOIN LATERAL billing_period(n.tenant, coalesce($3::timestamptz, now())) AS p
    UNION ALL
    SELECT l.tenant, p.*
      FROM periods l
     CROSS JOIN LATERAL billing_period(l.tenant, l.period_start - interval '1 minute') AS p
     WHERE $3::timestamptz IS NULL AND l.period_start > now() - interval '35 days'
), places AS (
    SELECT p.tenant, m.metric, m.aggregation NOT IN ('sum', 'count') AS newest, p.period_start, p.period_end,
           c.customer, c.event_name, c.item
      FROM periods p
     CROSS JOIN metrics m
     CROSS JOIN LATERAL (
           SELECT s.stripe_customer_id AS customer, s.event_name, s.stripe_subscription_item_id AS item
             FROM usage_submissions s
            WHERE s.tenant = p.tenant AND s.metric = m.metric
              AND s.usage_at >= p.period_start AND s.usage_at < p.period_end
              AND NOT EXISTS (SELECT FROM billing_customers b
                               WHERE b.stripe_customer_id = s.stripe_customer_id AND b.deleted_at IS NOT NULL)
           UNION
           SELECT b.stripe_customer_id, m.stripe_event_name, i.stripe_subscription_item_id
             FROM billing_customers b
             LEFT JOIN subscription_items i ON m.transport = 'usage_records' AND i.metric = m.metric
                   AND i.stripe_subscription_id = p.stripe_subscription_id
            WHERE b.tenant = p.tenant AND b.deleted_at IS NULL AND m.transport <> 'none'
              AND (m.transport <> 'usage_records' OR i.stripe_subscription_item_id IS NOT NULL)
              AND ($4::bool AND m.retired_at IS NULL OR EXISTS (
                   SELECT FROM usage_totals t
                    WHERE t.tenant = p.tenant AND t.metric = m.metric
                      AND t.period_start >= p.period_start AND t.period_start < p.period_end))
           ) AS c
     WHERE $6::timestamptz IS NULL
        OR NOT EXISTS (SELECT FROM invoices v
                        WHERE v.tenant = p.tenant AND v.stripe_subscription_id = p.stripe_subscription_id
                          AND v.finalized_at < $6 AND v.status <> 'void'
                          AND v.period_start < v.period_end AND minute_of(v.period_end) = p.period_end)
)
SELECT n.tenant, c.metric, c.customer, c.event_name, c.item, c.newest, c.period_start, c.period_end,
       extract(epoch FROM c.period_start)::int8 AS start_s, extract(epoch FROM c.period_end)::int8 AS end_s,
       to_char(c.period_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS period
  FROM tenants n
  LEFT JOIN places c ON c.tenant = n.tenant
       AND (NOT $7::bool
            OR NOT is_place_proven(c.customer, coalesce(c.item, c.event_name), c.period_start, c.period_end,
                                   (SELECT restored_last()))
               AND NOT EXISTS (SELECT FROM usage_submissions s
                                WHERE s.stripe_customer_id = c.customer AND s.event_name = c.event_name
                                  AND s.stripe_subscription_item_id IS NOT DISTINCT FROM c.item
                                  AND s.usage_at >= c.period_start AND s.usage_at < c.period_end
                                  AND (s.state IN ('pending', 'sending', 'in_doubt')
                                       OR s.state = 'sent' AND s.sent_at > now() - interval '10 minutes'
                                          AND s.identifier NOT LIKE 'ml-found-%')))
 ORDER BY n.tenant, c.metric, c.period_start, c.customer, c.event_name, c.item
