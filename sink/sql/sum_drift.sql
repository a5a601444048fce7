-- How far Stripe is from what was sent, by the newest comparisons of periods that can still be compared.
select least(coalesce(sum(abs(drift_units)), 0), 9000000000000000000)::int8 as drift
  from usage_drift
 where drift_units <> 0 and period_end > now() - interval '35 days'
