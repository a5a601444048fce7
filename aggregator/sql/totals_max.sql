-- Raise the totals of metrics that keep their greatest value.
-- $1 text[] tenants; $2 text[] metrics; $3, $4 timestamptz[] period start and end; $5 numeric[] quantities;
-- $6 int8[] last's Unix ms; $7 bytea[] last's entry
WITH v AS (SELECT nextval('usage_version') AS version)
INSERT INTO usage_totals AS t (tenant, metric, period_start, period_end, quantity, version, last_ms, last_entry)
SELECT tenant, metric, period_start, period_end, quantity, version, last_ms, last_entry
  FROM v, unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::numeric[], $6::int8[], $7::bytea[])
       AS r (tenant, metric, period_start, period_end, quantity, last_ms, last_entry)
ON CONFLICT (tenant, metric, period_start) DO UPDATE
   SET quantity = greatest(t.quantity, excluded.quantity),
       version = excluded.version,
       last_entry = CASE WHEN (excluded.last_ms, excluded.last_entry) >= (t.last_ms, t.last_entry)
                         THEN excluded.last_entry ELSE t.last_entry END,
       last_ms = greatest(t.last_ms, excluded.last_ms),
       updated_at = now()
