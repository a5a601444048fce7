-- The batches of the chain with their raw events, slice by slice, in the order in which their digest was computed;
-- binary. Batches whose day retention has dropped are left out.
SELECT s.stream, s.number, s.batch, s.counted, s.contents, b.slice, b.events, b.catalog_version, b.occurred_min,
       b.occurred_max, b.entry_first_ms, b.entry_last_ms, b.entry_ms, b.entry_seq, b.tenants, b.metrics, b.ids_uuid,
       b.ids_text, b.quantities, b.occurred_ms, b.fields, b.retracts
  FROM stream_batches s
  LEFT JOIN usage_batches b ON b.batch = s.batch AND b.stream = s.stream AND b.epoch = s.epoch
 WHERE b.batch IS NOT NULL
    OR NOT EXISTS (SELECT FROM usage_batches_dropped d
                    WHERE d.stream = s.stream AND d.epoch = s.epoch AND d.day = (s.committed_at AT TIME ZONE 'UTC')::date)
 ORDER BY s.stream, s.number, b.slice
