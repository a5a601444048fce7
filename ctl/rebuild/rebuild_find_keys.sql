-- Fill rebuild_keys.
-- $1 text: one tenant; NULL: all
INSERT INTO rebuild_keys
SELECT DISTINCT tenant, metric
  FROM usage_aggregates
 WHERE $1::text IS NULL OR tenant = $1::text
