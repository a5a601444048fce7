-- What waits to be sent, and what this transaction claimed; of a meter that is at fault, as sinks found it last, what is
-- wrong with it.
SELECT tenant, metric, to_char(period_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS period,
       to_char(usage_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS usage_at,
       trim_scale(quantity) AS quantity, transport, stripe_customer_id AS customer, event_name, state,
       created_at = now() AS claimed,
       (SELECT h.why FROM meter_holds h WHERE h.event_name = s.event_name AND s.transport <> 'usage_records') AS meter
  FROM usage_submissions s
 WHERE state = 'pending' OR (state IN ('held', 'late') AND created_at = now())
 ORDER BY tenant, metric, period_start, claim
