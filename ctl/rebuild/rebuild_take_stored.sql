-- Take the stored minute rows of a day that cannot be recomputed.
-- $1 timestamptz: low; $2 timestamptz: high
INSERT INTO rebuild_minutes
SELECT a.tenant, a.metric, a.dimensions, a.minute_at, a.events, a.quantity_sum, a.quantity_min, a.quantity_max,
       lpad(to_hex(a.last_ms # (-9223372036854775808)), 16, '0') || encode(a.last_entry, 'hex') || a.quantity_last::text
  FROM rebuild_keys k
  JOIN usage_aggregates a ON a.tenant = k.tenant AND a.metric = k.metric
   AND a.minute_at >= $1::timestamptz AND a.minute_at < $2::timestamptz
