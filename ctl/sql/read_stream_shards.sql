-- Over how many streams the tenants are spread.
SELECT value FROM ledger_state WHERE name = 'stream_shards'
