-- Over how many streams the ledger's tenants are spread.
select value from ledger_state where name = 'stream_shards'
