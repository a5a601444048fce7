-- Tell the stages that the catalog has changed.
UPDATE ledger_state
   SET value = value + 1
 WHERE name = 'catalog_version'
RETURNING value
