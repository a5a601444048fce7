-- Numbers of the ledger as a whole. sink_hold above 0: sinks wait for `meterctl restore accept`.
SELECT (SELECT max(version) FROM schema_migrations) AS schema_version,
       max(value) FILTER (WHERE name = 'catalog_version') AS catalog_version,
       max(value) FILTER (WHERE name = 'stream_shards') AS stream_shards,
       max(value) FILTER (WHERE name = 'sink_hold') AS sink_hold
  FROM ledger_state
