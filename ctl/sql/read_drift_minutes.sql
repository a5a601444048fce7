-- How one comparison explains what differs: a row for each submission in a minute that does, or one without a
-- submission where Stripe holds something that was never sent. Usage records have no minute.
-- $1 int8: run_id
select d.tenant, d.metric, d.stripe_customer_id as customer, to_char((e.minute at time zone 'UTC'),
       'YYYY-MM-DD"T"HH24:MI"Z"') as minute, coalesce(e.stripe, '0') as stripe, coalesce(e.sent, '0') as sent,
       s.identifier, s.quantity, s.state, s.request_id
  from usage_drift d
 cross join lateral jsonb_to_recordset(d.explanation)
       as e (minute timestamptz, stripe text, sent text, submissions jsonb)
  left join lateral jsonb_to_recordset(e.submissions)
       as s (identifier text, quantity text, state text, request_id text) on true
 where d.run_id = $1::int8 and d.drift_units <> 0
 order by d.tenant, d.metric, d.period_start, d.stripe_customer_id, d.event_name, e.minute, s.identifier
