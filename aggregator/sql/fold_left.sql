-- Take over what is pending of a stream, and of those of another number of shards: a retraction may take back what is
-- pending there. What changed, for the quota cache. In one order, so that two that do so do not wait for each other.
-- $1 text stream; $2 text[] streams of the number in force
SELECT tenant, metric, quantity::text, version, (extract(epoch FROM period_end) * 1000)::int8 AS period_end_ms,
       (extract(epoch FROM now()) * 1000)::int8 AS used_at_ms
  FROM (SELECT stream FROM stream_positions WHERE stream = $1 OR stream <> ALL ($2::text[]) ORDER BY stream OFFSET 0) s
 CROSS JOIN LATERAL fold_usage(s.stream)
