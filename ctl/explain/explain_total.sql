-- What is billed of a metric in one period, and where the minutes lie that make it: in the period, or, of a metric that
-- carries its last value over into a period without usage, before it. No row: the catalog has no such metric.
-- is_summed: the claim is what its submissions hold; else the sink has yet to sum them up anew.
-- $1 text: tenant; $2 text: metric; $3 timestamptz: in the period
WITH stored AS (
    SELECT t.period_start, t.period_end, t.quantity
      FROM usage_totals t
     WHERE t.tenant = $1::text AND t.metric = $2::text
       AND t.period_start <= $3::timestamptz AND $3::timestamptz < t.period_end
), period AS (
    SELECT coalesce(t.period_start, p.period_start) AS low, coalesce(t.period_end, p.period_end) AS high, t.quantity,
           p.stripe_subscription_id AS subscription
      FROM billing_period($1::text, $3::timestamptz) p
      LEFT JOIN stored t ON true
), newest AS (
    SELECT a.minute_at
      FROM period p, usage_aggregates a
     WHERE a.tenant = $1::text AND a.metric = $2::text AND a.minute_at < p.high
     ORDER BY a.minute_at DESC
     LIMIT 1
), place AS (
    SELECT p.*, m.*, m.carry AND p.quantity IS NOT NULL AND n.minute_at < p.low AS carried_over,
           CASE WHEN m.carry AND p.quantity IS NOT NULL AND n.minute_at < p.low THEN n.minute_at ELSE p.low END AS first,
           CASE WHEN m.carry AND p.quantity IS NOT NULL AND n.minute_at < p.low THEN n.minute_at + interval '1 minute'
                ELSE p.high END AS last
      FROM metrics m
     CROSS JOIN period p
      LEFT JOIN newest n ON true
     WHERE m.metric = $2::text
)
SELECT to_char(p.low AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') AS period_start,
       to_char(p.high AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') AS period_end,
       trim_scale(coalesce(p.quantity, 0)) AS total, p.unit, p.aggregation, p.from_metric AS derived_from,
       nullif(p.where_dimensions, '{}')::text AS where_dimensions, p.transport,
       b.stripe_customer_id AS customer, p.subscription, i.stripe_invoice_id AS invoice, i.status AS invoice_status,
       to_char(p.first AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') AS first_minute,
       to_char(p.last AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') AS last_minute,
       p.carried_over,
       CASE WHEN p.quantity IS NULL AND c.tenant IS NULL THEN (
            SELECT to_char(max(t.period_start) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"')
              FROM usage_totals t WHERE t.tenant = $1::text AND t.metric = $2::text) END AS used_period,
       -- A claim of a period without a total holds nothing: it stands for what late carry had billed there.
       CASE WHEN c.tenant IS NOT NULL AND p.quantity IS NOT NULL
            THEN c.version >= 0 AND c.periods_version >= coalesce(v.version, 0)
            ELSE NOT EXISTS (
                SELECT FROM usage_submissions s
                 WHERE s.tenant = $1::text AND s.metric = $2::text AND s.state <> 'void'
                   AND (s.carried OR s.usage_at >= p.low AND s.usage_at <= p.high)
                   AND (SELECT o.period_start
                          FROM submission_period(s.tenant, s.usage_at, s.period_start, s.carried) o) = p.low) END AS is_summed,
       (SELECT to_char((minute_of(max(d.occurred_max)) + interval '1 minute') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"')
          FROM usage_batches_dropped d HAVING max(d.occurred_max) >= p.first) AS dropped_before,
       (SELECT coalesce(sum(u.events), 0)
          FROM usage_pending w
         CROSS JOIN LATERAL (
               SELECT * FROM unnest(w.tenants, w.metrics, w.minutes, w.events)
                UNION ALL
               SELECT tenant, metric, minute_at, events
                 FROM count_raw_events(ARRAY[$1::text], '-infinity', 'infinity', NULL, w.batch) WHERE w.from_raw
               ) u (tenant, metric, minute_at, events)
         WHERE u.tenant = $1::text AND u.metric = $2::text AND u.minute_at >= p.low AND u.minute_at < p.high) AS unfolded
  FROM place p
  LEFT JOIN billing_customers b ON b.tenant = $1::text AND b.deleted_at IS NULL
  LEFT JOIN usage_claims c ON c.tenant = $1::text AND c.metric = $2::text AND c.period_start = p.low
  LEFT JOIN billing_period_changes v ON v.tenant = $1::text
  LEFT JOIN LATERAL (
       SELECT o.stripe_invoice_id, o.status
         FROM invoices o
        WHERE o.tenant = $1::text AND o.stripe_subscription_id = p.subscription AND o.status <> 'void'
          AND o.period_start < o.period_end AND minute_of(o.period_end) = p.high
        ORDER BY o.event_created DESC NULLS LAST
        LIMIT 1) i ON true
