-- Rejected entries by reason and metric: how many, how many were not replayed, of how many tenants, since when.
-- $1 text: tenant; $2 text: reason; $3 timestamptz: rejected since; each may be NULL; $4 boolean: just what was not replayed
select r.reason, f.metric, count(*) as entries, count(*) filter (where r.replayed_at is null) as pending,
       count(distinct r.tenant) as tenants,
       to_char(min(r.rejected_at) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as first_at,
       to_char(max(r.rejected_at) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as last_at
  from rejected_events r
 cross join lateral (select rejected_field(r.fields, 'metric') as metric) f
 where ($1::text is null or r.tenant = $1::text)
   and ($2::text is null or r.reason = $2::text)
   and ($3::timestamptz is null or r.rejected_at >= $3::timestamptz)
   and (not $4::boolean or r.replayed_at is null)
 group by r.reason, f.metric
 order by count(*) desc, r.reason, f.metric
