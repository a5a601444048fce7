-- What can be checked: from low until before high; nothing before unchecked, if that is not NULL. Retention dropped
-- raw events up to there. What is carried over goes on until now. Times are whole minutes.
-- $1 text: one tenant, NULL: all; $2 timestamptz: from; $3 timestamptz: to; both may be NULL
with dropped as (
    select minute_of(max(occurred_max)) + interval '1 minute' as until from usage_batches_dropped
), known as (
    select least((select min(occurred_min) from usage_batches), (select min(minute_at) from usage_aggregates)) as low,
           greatest((select max(occurred_max) from usage_batches), (select max(minute_at) from usage_aggregates), now())
               + interval '1 minute' as high
), wanted as (
    select minute_of(coalesce($2::timestamptz, k.low)) as low,
           minute_of(coalesce($3::timestamptz + interval '1 minute' - interval '1 microsecond', k.high)) as high,
           d.until
      from known k, dropped d
), clamped as (
    select greatest(low, until) as low, high, case when low < until then least(until, high) end as unchecked
      from wanted
)
select c.low, c.high, c.unchecked, c.low < c.high as any,
       -- Totals of periods that reach beyond are compared too, so their other minutes are needed.
       least(c.low, min(t.period_start)) as first, greatest(c.high, max(t.period_end)) as end
  from clamped c
  left join usage_totals t on t.period_start < c.high and t.period_end > c.low and ($1::text is null or t.tenant = $1::text)
 group by c.low, c.high, c.unchecked
