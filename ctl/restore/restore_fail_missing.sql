-- Submissions that are `sent` in the ledger and of which Stripe holds nothing. Stripe refused them after its receipt,
-- so they fail and wait for a person; young ones become in doubt, since Stripe's figures lag.
-- $1 int8: run_id of the comparison
UPDATE usage_submissions s
   SET state = CASE WHEN s.sent_at > now() - interval '2 hours' THEN 'in_doubt' ELSE 'failed' END, last_error = 'Stripe does not hold it', sent_at = NULL
  FROM usage_drift d
  JOIN metrics m USING (metric)
 CROSS JOIN LATERAL jsonb_to_recordset(d.explanation) AS e (minute timestamptz, stripe numeric)
 WHERE d.run_id = $1::int8 AND d.drift_units <> 0 AND e.minute IS NOT NULL
   AND (e.stripe IS NULL OR e.stripe = 0 AND m.aggregation IN ('sum', 'count'))
   AND s.stripe_customer_id = d.stripe_customer_id AND s.event_name = d.event_name
   AND s.stripe_subscription_item_id IS NULL AND s.usage_at = e.minute AND s.state = 'sent'
RETURNING s.identifier, s.tenant, s.metric, trim_scale(s.quantity)::text AS quantity
