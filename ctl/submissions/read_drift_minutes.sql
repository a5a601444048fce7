-- How one comparison explains what differs: a row for each submission in a minute that does, or one without a
-- submission where Stripe holds something that was never sent. Usage records have no minute.
-- $1 int8: run_id
SELECT d.tenant, d.metric, d.stripe_customer_id AS customer, to_char((e.minute AT TIME ZONE 'UTC'),
       'YYYY-MM-DD"T"HH24:MI"Z"') AS minute, coalesce(e.stripe, '0') AS stripe, coalesce(e.sent, '0') AS sent,
       s.identifier, s.quantity, s.state, s.request_id
  FROM usage_drift d
 CROSS JOIN LATERAL jsonb_to_recordset(d.explanation)
       AS e (minute timestamptz, stripe text, sent text, submissions jsonb)
  LEFT JOIN LATERAL jsonb_to_recordset(e.submissions)
       AS s (identifier text, quantity text, state text, request_id text) ON true
 WHERE d.run_id = $1::int8 AND d.drift_units <> 0
 ORDER BY d.tenant, d.metric, d.period_start, d.stripe_customer_id, d.event_name, e.minute, s.identifier
