-- Add to minute rows.
-- $1 text[] tenants; $2 text[] metrics; $3 text[] dimensions, JSON; $4 timestamptz[] minutes; $5 int8[] events;
-- $6 to $9 numeric[] sum, min, max, last; $10 int8[] last's Unix ms; $11 bytea[] last's entry
INSERT INTO usage_aggregates AS a (tenant, metric, dimensions, minute_at, events, quantity_sum, quantity_min,
                                   quantity_max, quantity_last, last_ms, last_entry)
SELECT tenant, metric, dimensions::jsonb, minute_at, events, s, mi, ma, l, last_ms, last_entry
  FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::int8[], $6::numeric[], $7::numeric[],
              $8::numeric[], $9::numeric[], $10::int8[], $11::bytea[])
       AS r (tenant, metric, dimensions, minute_at, events, s, mi, ma, l, last_ms, last_entry)
ON CONFLICT (tenant, metric, minute_at, dimensions) DO UPDATE
   SET events = a.events + excluded.events,
       quantity_sum = a.quantity_sum + excluded.quantity_sum,
       quantity_min = least(a.quantity_min, excluded.quantity_min),
       quantity_max = greatest(a.quantity_max, excluded.quantity_max),
       quantity_last = CASE WHEN (excluded.last_ms, excluded.last_entry) >= (a.last_ms, a.last_entry)
                            THEN excluded.quantity_last ELSE a.quantity_last END,
       last_entry = CASE WHEN (excluded.last_ms, excluded.last_entry) >= (a.last_ms, a.last_entry)
                         THEN excluded.last_entry ELSE a.last_entry END,
       last_ms = greatest(a.last_ms, excluded.last_ms)
