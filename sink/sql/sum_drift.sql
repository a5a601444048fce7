-- How far Stripe is from what was sent, by the newest comparisons of periods that can still be compared.
SELECT least(coalesce(sum(abs(drift_units)), 0), 9000000000000000000)::int8 AS drift
  FROM usage_drift
 WHERE drift_units <> 0 AND period_end > now() - interval '35 days'
