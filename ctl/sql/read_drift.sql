-- What one comparison found to differ.
-- $1 int8: run_id
select tenant, metric, stripe_customer_id as customer,
       to_char(period_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as period_start,
       to_char(period_end at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as period_end,
       trim_scale(sent_quantity)::text as sent, trim_scale(open_quantity)::text as open,
       trim_scale(stripe_quantity)::text as stripe, trim_scale(drift_units)::text as drift
  from usage_drift
 where run_id = $1::int8 and drift_units <> 0
 order by tenant, metric, period_start, stripe_customer_id, event_name
