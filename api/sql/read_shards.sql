-- How many streams tenants are spread over.
SELECT value FROM ledger_state WHERE name = 'stream_shards'
