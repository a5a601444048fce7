-- A tenant's raw events by time of use; a retraction is one of its own, its quantity negated.
-- Usage is committed at the earliest when it happens, but for clocks that differ: earlier days are not looked at.
-- $1 text: tenant; $2 text: metric, $3 timestamptz: from, $4 timestamptz: until before, $5 bigint: how many; $2 to $5 may be NULL
select e.tenant, e.stream, entry_half(e.ms) || '-' || entry_half(e.seq) as stream_id, e.metric,
       coalesce(e.id_uuid::text, e.id_text, e.stream || '/' || entry_half(e.ms) || '-' || entry_half(e.seq)) as event_id,
       trim_scale(e.quantity) as quantity,
       to_char((to_timestamp(0) + e.occurred * interval '1 ms') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as occurred_at,
       case when e.retracts > 0 then 'true' else 'false' end as retraction, coalesce(e.fields, '{}') as dimensions,
       to_char(e.committed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as committed_at
  from (select b.stream, b.committed_at, unnest(b.entry_ms) as ms, unnest(b.entry_seq) as seq,
               unnest(b.tenants) as tenant, unnest(b.metrics) as metric, unnest(b.ids_uuid) as id_uuid,
               unnest(b.ids_text) as id_text, unnest(b.quantities) as quantity, unnest(b.occurred_ms) as occurred,
               unnest(b.fields) as fields, unnest(b.retracts) as retracts
          from usage_batches b
         where b.slice = tenant_slice($1::text)
           and b.day >= coalesce(($3::timestamptz at time zone 'UTC')::date - 2, '-infinity')
           and b.occurred_min < coalesce($4::timestamptz, 'infinity')
           and b.occurred_max >= coalesce($3::timestamptz, '-infinity')) e
 where e.tenant = $1::text
   and ($2::text is null or e.metric = $2::text)
   and ($3::timestamptz is null or e.occurred >= extract(epoch from $3::timestamptz) * 1000)
   and ($4::timestamptz is null or e.occurred < extract(epoch from $4::timestamptz) * 1000)
 order by e.occurred, e.ms, e.seq
 limit $5::bigint
