-- Set what the catalog says of all plans. One row for each that is different.
-- $1 json: settings
UPDATE ledger_state l SET value = w.value
  FROM (SELECT ($1::json ->> 'on_collection_pause' = 'blocked')::integer AS value) w
 WHERE l.name = 'blocks_paused' AND l.value <> w.value
RETURNING 'on_collection_pause', 'changed: ' || CASE l.value WHEN 1 THEN 'active to blocked' ELSE 'blocked to active' END
