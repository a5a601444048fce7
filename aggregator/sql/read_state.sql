-- Versions of the catalog and of the billing periods, and a number for the next batch.
SELECT (SELECT value FROM ledger_state WHERE name = 'catalog_version'),
       (SELECT value FROM ledger_state WHERE name = 'periods_version'),
       (SELECT value FROM ledger_state WHERE name = 'stream_shards'),
       nextval('usage_batch')
