-- Decides on submissions that are late, notes it in the billing history, and asks the sink to act. Returns what was asked
-- for, as it was before. Values that replace each other are not carried over: an old one would replace the current one.
-- $1 text: carry or drop; $2 jsonb: identifiers, or NULL: all that wait for a decision; $3 text: one tenant, or NULL
with wanted as materialized (
    select s.identifier, s.tenant, s.metric, s.state, s.quantity, s.decision,
           exists (select from metrics m
                    where m.metric = s.metric and m.aggregation not in ('sum', 'count')) as replaces
      from usage_submissions s
     where case when $2::jsonb is null then s.state = 'late' and s.decision is null
                else s.identifier in (select jsonb_array_elements_text($2::jsonb)) end
       and ($3::text is null or s.tenant = $3::text)
), decided as (
    update usage_submissions s
       set decision = $1::text, decided_at = now()
      from wanted w
     where s.identifier = w.identifier and s.state = 'late' and s.decision is distinct from $1::text
       and ($1::text = 'drop' or not w.replaces)
    returning s.identifier, s.tenant, s.metric, s.quantity, s.usage_at, s.period_start
), noted as (
    insert into billing_history (tenant, kind, object_id, detail)
    select tenant, case $1::text when 'carry' then 'late_carried' else 'late_dropped' end, identifier,
           jsonb_build_object('metric', metric, 'quantity', trim_scale(quantity)::text, 'usage_at', usage_at,
                              'period_start', period_start)
      from decided
     order by identifier
), asked as materialized (
    select request_sink(tenant, 'settle') from (select distinct tenant from decided) t
)
select w.identifier, w.tenant, w.state, trim_scale(w.quantity) as quantity, w.decision,
       d.identifier is not null as done, p.stripe_subscription_id is not null as subscribed, w.replaces, w.metric
  from wanted w
  left join decided d using (identifier)
 cross join lateral billing_period(w.tenant, now()) p
 where (select count(*) from asked) >= 0
 order by w.identifier
