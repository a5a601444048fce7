-- Numbers of the ledger as a whole. sink_hold above 0: sinks wait for `meterctl restore accept`.
select (select max(version) from schema_migrations) as schema_version,
       max(value) filter (where name = 'catalog_version') as catalog_version,
       max(value) filter (where name = 'stream_shards') as stream_shards,
       max(value) filter (where name = 'sink_hold') as sink_hold
  from ledger_state
