-- Take pending minute sums over into minute rows and totals; what changed, for the quota cache.
-- $1 text stream; $2 text the last entry of those that are folded then
SELECT tenant, metric, quantity::text, version, (extract(epoch FROM period_end) * 1000)::int8 AS period_end_ms,
       (extract(epoch FROM now()) * 1000)::int8 AS used_at_ms, $2::text AS as_of
  FROM fold_usage($1)
