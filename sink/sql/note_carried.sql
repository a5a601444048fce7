-- Carried ones: the number that each got among the claims of its own period, and the minute that it uses in the
-- current one. Arrays of one length; a tenant and metric comes once.
-- $1 text[] tenant, $2 text[] metric, $3 timestamptz[] period_start, $4 int8[] claim,
-- $5 timestamptz[] period_start of the current one, $6 timestamptz[] usage_at
with carried as (
    select *
      from unnest($1::text[], $2::text[], $3::timestamptz[], $4::int8[], $5::timestamptz[], $6::timestamptz[])
           as a (tenant, metric, own_start, claim, current_start, usage_at)
), numbered as (
    update usage_claims c
       set claims = greatest(c.claims, n.claim),
           first_at = case when n.own_start = n.current_start then least(c.first_at, n.usage_at) else c.first_at end,
           last_at = case when n.own_start = n.current_start then greatest(c.last_at, n.usage_at) else c.last_at end
      from carried n
     where c.tenant = n.tenant and c.metric = n.metric and c.period_start = n.own_start
)
insert into usage_claims as c (tenant, metric, period_start, version, claimed, claims, first_at, last_at,
                               periods_version)
select tenant, metric, current_start, -1, 0, 0, usage_at, usage_at, -1
  from carried
 where own_start <> current_start
    on conflict (tenant, metric, period_start) do update
   set first_at = least(c.first_at, excluded.first_at), last_at = greatest(c.last_at, excluded.last_at)
