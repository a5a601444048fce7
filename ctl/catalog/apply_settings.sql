-- Set what the catalog says of all plans. One row for each that is different.
-- $1 json: settings
UPDATE ledger_state l SET value = w.value
  FROM (VALUES ('blocks_paused', 'on_collection_pause', 'active', 'blocked'),
               ('tax_by_invoice', 'tax_rounding', 'line', 'invoice')) s (name, setting, off, marked)
 CROSS JOIN LATERAL (SELECT ($1::json ->> s.setting = s.marked)::integer AS value) w
 WHERE l.name = s.name AND l.value <> w.value
RETURNING s.setting, 'changed: ' || CASE l.value WHEN 1 THEN s.off || ' to ' || s.marked ELSE s.marked || ' to ' || s.off END
