-- Rejected entries that are marked as replayed, and of which nothing came: neither an event with that id nor another
-- rejected entry. At most 10. Nobody can tell of those that were replayed before Redis lost entries, of those whose raw
-- events may be dropped, and of retractions without an id, which have none by default.
-- $1 timestamptz: all that was added before is counted; NULL: not known, nothing is judged
with losses as materialized (
    select coalesce(max(at), '-infinity') as until
      from (select closed_at from stream_epochs
             union all
            select coalesce((select min(b.committed_at) from stream_batches b
                              where b.stream = p.stream and b.epoch = p.epoch and b.lost = p.lost), 'infinity')
              from stream_positions p where p.lost > 0) l (at)
), marked as materialized (
    select r.rejected_id, r.stream, r.stream_id, r.tenant, r.reason, r.replayed_at,
           coalesce(f.id, r.stream || '/' || r.stream_id) as id
      from rejected_events r
     cross join lateral (
           select min(value ->> 1) filter (where value ->> 0 = 'id') as id, bool_or(value ->> 0 = 'op') as has_op
             from jsonb_array_elements(case jsonb_typeof(r.fields) when 'array' then r.fields end)) f
     where r.replayed_at < $1::timestamptz and r.replayed_at > (select until from losses)
       and (f.id is not null or f.has_op is distinct from true)
       and not exists (select from usage_batches_dropped d where d.day >= (r.replayed_at at time zone 'UTC')::date - 36)
), events as materialized (
    select distinct e.tenant, coalesce(e.id_uuid::text, e.id_text) as id
      from (select unnest(b.tenants) as tenant, unnest(b.ids_uuid) as id_uuid, unnest(b.ids_text) as id_text
              from usage_batches b
             where b.slice in (select tenant_slice(m.tenant) from marked m)
               and (b.ids_uuid is not null or b.ids_text is not null)) e
     where coalesce(e.id_uuid::text, e.id_text) in (select m.id from marked m)
), again as materialized (
    select f.value ->> 1 as id, max(r.rejected_id) as newest
      from rejected_events r
     cross join lateral jsonb_array_elements(case jsonb_typeof(r.fields) when 'array' then r.fields end) f
     where r.rejected_id > (select min(m.rejected_id) from marked m)
       and f.value ->> 0 = 'id' and f.value ->> 1 in (select m.id from marked m)
     group by f.value ->> 1
)
select m.rejected_id, m.stream, m.stream_id, m.tenant, m.reason,
       case m.reason when 'conflict' then 'marked as replayed, and conflicts are never replayed'
            else 'marked as replayed, and nothing came of it' end as what
  from marked m
  left join events e on e.tenant = m.tenant and e.id = m.id
  left join again a on a.id = m.id and a.newest > m.rejected_id
 where m.reason = 'conflict' or (e.id is null and a.id is null)
 order by m.rejected_id
 limit 10
