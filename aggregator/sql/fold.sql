-- Take pending minute sums over into minute rows and totals; what changed, for the quota cache.
-- $1 text stream
SELECT tenant, metric, quantity::text, version, (extract(epoch FROM period_end) * 1000)::int8 AS period_end_ms,
       (extract(epoch FROM now()) * 1000)::int8 AS used_at_ms
  FROM fold_usage($1)
