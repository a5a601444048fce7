-- What Stripe holds and the ledger does not know of, to be adopted: for sums, the difference of each minute; for
-- values that replace each other, the newest one alone, unless ours is newer; for usage records, which have no
-- minutes, the difference of the total.
-- $1 int8: run_id of the comparison
WITH found AS (
    SELECT d.tenant, d.metric, d.stripe_customer_id, d.event_name, d.period_start, d.period_end, m.transport,
           m.stripe_event_name, m.aggregation IN ('sum', 'count') AS additive, d.drift_units, e.minute, e.stripe,
           coalesce(e.sent, 0) AS sent,
           e.stripe IS NOT NULL AND e.minute = max(e.minute) FILTER (WHERE e.stripe IS NOT NULL) OVER (
               PARTITION BY d.tenant, d.metric, d.period_start, d.stripe_customer_id, d.event_name) AS newest,
           (SELECT max(s.usage_at) FROM usage_submissions s
             WHERE s.tenant = d.tenant AND s.metric = d.metric AND s.state = 'sent'
               AND s.stripe_customer_id = d.stripe_customer_id AND s.event_name = d.event_name
               AND s.usage_at >= d.period_start AND s.usage_at < d.period_end) AS ours_at
      FROM usage_drift d
      JOIN metrics m USING (metric)
     CROSS JOIN LATERAL jsonb_to_recordset(d.explanation)
           AS e (minute timestamptz, stripe numeric, sent numeric)
     WHERE d.run_id = $1::int8 AND d.drift_units <> 0
)
SELECT tenant, metric, CASE WHEN minute IS NULL THEN 'usage_records'
                            WHEN transport = 'usage_records' THEN 'meter_events' ELSE transport END AS transport,
       stripe_customer_id AS customer, CASE WHEN minute IS NULL THEN stripe_event_name ELSE event_name END
           AS event_name, CASE WHEN minute IS NULL THEN event_name END AS item, period_start, period_end,
       coalesce(minute, minute_of(least(now(), period_end - interval '1 minute'))) AS minute,
       trim_scale(CASE WHEN minute IS NULL THEN drift_units WHEN additive THEN stripe - sent ELSE stripe END)::text
           AS quantity
  FROM found
 WHERE CASE WHEN minute IS NULL THEN additive AND drift_units > 0
            WHEN additive THEN stripe <> 0 AND stripe <> sent
            ELSE newest AND minute >= coalesce(ours_at, '-infinity') END
 ORDER BY tenant, metric, period_start, customer, event_name, minute
