-- Take all pending minute sums over, of whatever stream; what changed, for the quota cache. In one order, so that two
-- that do so do not wait for each other.
SELECT tenant, metric, quantity::text, version, (extract(epoch FROM period_end) * 1000)::int8 AS period_end_ms,
       (extract(epoch FROM now()) * 1000)::int8 AS used_at_ms
  FROM (SELECT stream FROM stream_positions ORDER BY stream OFFSET 0) s CROSS JOIN LATERAL fold_usage(s.stream)
