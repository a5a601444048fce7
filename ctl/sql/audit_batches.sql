-- The chain's batches and their raw events, slice by slice, in the order that their digest was made in; binary. Those whose
-- day retention has dropped are left out, as far as they are gone.
select s.stream, s.number, s.batch, s.counted, s.contents, b.slice, b.events, b.catalog_version, b.occurred_min,
       b.occurred_max, b.entry_first_ms, b.entry_last_ms, b.entry_ms, b.entry_seq, b.tenants, b.metrics, b.ids_uuid,
       b.ids_text, b.quantities, b.occurred_ms, b.fields, b.retracts
  from stream_batches s
  left join usage_batches b on b.batch = s.batch and b.stream = s.stream and b.epoch = s.epoch
 where b.batch is not null
    or not exists (select from usage_batches_dropped d
                    where d.stream = s.stream and d.epoch = s.epoch and d.day = (s.committed_at at time zone 'UTC')::date)
 order by s.stream, s.number, b.slice
