-- If the ledger has no usage of a period any more, what Stripe holds of it must be taken back. The sink goes by
-- totals, so there must be one.
-- $1 text tenant, $2 text metric, $3 timestamptz, $4 timestamptz: the period
INSERT INTO usage_totals (tenant, metric, period_start, period_end, quantity, version, last_ms, last_entry)
SELECT $1, $2, $3::timestamptz, $4::timestamptz, 0, nextval('usage_version'), (-9223372036854775808), ''
  FROM metrics
 WHERE metric = $2 AND aggregation IN ('sum', 'count')
    ON CONFLICT (tenant, metric, period_start) DO NOTHING
