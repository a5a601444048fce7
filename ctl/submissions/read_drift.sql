-- What one comparison found to differ.
-- $1 int8: run_id
SELECT tenant, metric, stripe_customer_id AS customer,
       to_char(period_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS period_start,
       to_char(period_end AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS period_end,
       trim_scale(sent_quantity)::text AS sent, trim_scale(open_quantity)::text AS open,
       trim_scale(stripe_quantity)::text AS stripe, trim_scale(drift_units)::text AS drift
  FROM usage_drift
 WHERE run_id = $1::int8 AND drift_units <> 0
 ORDER BY tenant, metric, period_start, stripe_customer_id, event_name
