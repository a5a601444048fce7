-- Rejected entries, the newest first.
-- $1 text: tenant; $2 text: reason; $3 timestamptz: rejected since; each may be NULL; $4 bigint: how many; $5 bigint: one id, or
-- NULL; $6 boolean: just what was not replayed
select rejected_id, to_char(rejected_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as rejected_at,
       stream, epoch, stream_id, tenant, rejected_field(fields, 'metric') as metric,
       rejected_field(fields, 'quantity') as quantity, reason, detail,
       to_char(replayed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as replayed_at, fields::text as fields
  from rejected_events
 where ($1::text is null or tenant = $1::text)
   and ($2::text is null or reason = $2::text)
   and ($3::timestamptz is null or rejected_at >= $3::timestamptz)
   and ($5::bigint is null or rejected_id = $5::bigint)
   and (not $6::boolean or replayed_at is null)
 order by rejected_id desc
 limit $4::bigint
