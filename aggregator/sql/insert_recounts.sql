-- Minutes of which something was taken back, for fold_usage to count anew.
-- $1 text stream; $2 text[] tenants; $3 text[] metrics; $4 timestamptz[] minutes: any of them any number of times;
-- $5 int8 batch
INSERT INTO usage_recounts (tenant, metric, minute_at, stream, batch)
SELECT DISTINCT tenant, metric, minute_at, $1, $5::int8
  FROM unnest($2::text[], $3::text[], $4::timestamptz[]) AS r (tenant, metric, minute_at)
