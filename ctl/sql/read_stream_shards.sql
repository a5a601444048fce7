-- Over how many streams the ledger's tenants are spread.
SELECT value FROM ledger_state WHERE name = 'stream_shards'
