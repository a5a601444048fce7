-- The catalog's version: it rises with every change.
SELECT value FROM ledger_state WHERE name = 'catalog_version'
