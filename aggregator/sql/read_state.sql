-- Versions of the catalog and the number of shards, a number for the next batch, the time, the newest time of use of
-- raw events that retention dropped (NULL: none), when the number of shards last changed (0: never), and when the newest
-- day of rejects that it dropped ended (NULL: none), Unix ms.
SELECT (SELECT value FROM ledger_state WHERE name = 'catalog_version'),
       (SELECT value FROM ledger_state WHERE name = 'stream_shards'),
       nextval('usage_batch'),
       (extract(epoch FROM now()) * 1000)::int8,
       (SELECT (extract(epoch FROM max(occurred_max)) * 1000)::int8 FROM usage_batches_dropped),
       (SELECT value FROM ledger_state WHERE name = 'resharded_ms'),
       (SELECT (extract(epoch FROM (max(day) + 1)::timestamp AT TIME ZONE 'UTC') * 1000)::int8 FROM rejected_events_dropped)
