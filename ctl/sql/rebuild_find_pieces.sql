-- The days that hold usage, cut where checking begins and ends; since: the first day of a commit that holds usage of
-- that time.
-- $1 timestamptz: first; $2 timestamptz: end; $3 timestamptz: low; $4 timestamptz: high. Checked is from low until before high.
with commits as materialized (
    select day, max(occurred_max) as newest from usage_batches group by day
), days as (
    select distinct date_trunc('day', minute_at at time zone 'UTC') at time zone 'UTC' as day
      from usage_aggregates
     where minute_at >= $1::timestamptz and minute_at < $2::timestamptz
    union
    select to_timestamp(0) + d.day * interval '86400 s'
      from (select distinct floor(unnest(occurred_ms) / 86400000::numeric)::bigint as day
              from usage_batches
             where occurred_min < $4::timestamptz and occurred_max >= $3::timestamptz) d
), edges as (
    select greatest(day, $1::timestamptz) as low, least(day + interval '86400 s', $2::timestamptz) as high from days
), pieces as (
    select low, least(high, $3::timestamptz) as high, false as checked from edges
    union all
    select greatest(low, $3::timestamptz), least(high, $4::timestamptz), true from edges
    union all
    select greatest(low, $4::timestamptz), high, false from edges
)
select low, high, checked,
       coalesce((select min(c.day) from commits c where c.newest >= pieces.low), '-infinity') as since
  from pieces
 where low < high
 order by low
