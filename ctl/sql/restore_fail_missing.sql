-- Submissions that the ledger takes for sent, and of which Stripe holds nothing: it refused them after its receipt, and
-- they wait for a person; or, of those that are young, its figures are late, and they are in doubt.
-- $1 int8: run_id of the comparison
update usage_submissions s
   set state = case when s.sent_at > now() - interval '2 hours' then 'in_doubt' else 'failed' end, last_error = 'Stripe does not hold it', sent_at = null
  from usage_drift d
  join metrics m using (metric)
 cross join lateral jsonb_to_recordset(d.explanation) as e (minute timestamptz, stripe numeric)
 where d.run_id = $1::int8 and d.drift_units <> 0 and e.minute is not null
   and (e.stripe is null or e.stripe = 0 and m.aggregation in ('sum', 'count'))
   and s.stripe_customer_id = d.stripe_customer_id and s.event_name = d.event_name
   and s.stripe_subscription_item_id is null and s.usage_at = e.minute and s.state = 'sent'
returning s.identifier, s.tenant, s.metric, trim_scale(s.quantity)::text as quantity
