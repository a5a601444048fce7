-- Versions of the catalog and the number of shards, a number for the next batch, and the time, Unix ms.
SELECT (SELECT value FROM ledger_state WHERE name = 'catalog_version'),
       (SELECT value FROM ledger_state WHERE name = 'stream_shards'),
       nextval('usage_batch'),
       (extract(epoch FROM now()) * 1000)::int8
