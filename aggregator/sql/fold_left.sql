-- Take over what is pending of a stream, or of one of another number of shards: a retraction may take back what is
-- pending there. One stream at a time, in one order. What changed, for the quota cache.
-- $1 text stream; $2 text[] streams of the number in force
SELECT tenant, metric, quantity::text, version, (extract(epoch FROM period_end) * 1000)::int8 AS period_end_ms,
       (extract(epoch FROM now()) * 1000)::int8 AS used_at_ms, NULL AS as_of
  FROM (SELECT stream FROM stream_positions s
         WHERE (stream = $1 OR stream <> ALL ($2::text[]))
           AND (EXISTS (SELECT FROM usage_pending p WHERE p.stream = s.stream)
                OR EXISTS (SELECT FROM usage_recounts r WHERE r.stream = s.stream))
         ORDER BY stream LIMIT 1) s
 CROSS JOIN LATERAL fold_usage(s.stream)
