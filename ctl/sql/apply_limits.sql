-- Add and change what plans allow and charge. One row for each that is new or different.
-- $1 json: rows of plan_limits
with wanted as (
    select * from json_to_recordset($1::json) as x (
        plan text, metric text, included numeric(38,9), cap text, overage_unit_price numeric(24,12),
        currency text)
), before as (
    select * from plan_limits
), written as (
    insert into plan_limits as l (plan, metric, included, cap, overage_unit_price, currency)
    select plan, metric, included, cap, overage_unit_price, currency
      from wanted
        on conflict (plan, metric) do update
       set included = excluded.included, cap = excluded.cap,
           overage_unit_price = excluded.overage_unit_price, currency = excluded.currency
     where (l.included, l.cap, l.overage_unit_price, l.currency)
           is distinct from
           (excluded.included, excluded.cap, excluded.overage_unit_price, excluded.currency)
    returning l.*
)
select w.plan || '/' || w.metric,
       case when b.plan is null then 'added' else 'changed: ' || concat_ws(', ',
           case when w.included is distinct from b.included then
               format('included %s to %s', coalesce(trim_scale(b.included)::text, 'unlimited'),
                      coalesce(trim_scale(w.included)::text, 'unlimited')) end,
           case when w.cap <> b.cap then format('cap %s to %s', b.cap, w.cap) end,
           case when w.overage_unit_price is distinct from b.overage_unit_price then
               format('unit price %s to %s', 
                      coalesce(trim_scale(b.overage_unit_price)::text, 'none'),
                      coalesce(trim_scale(w.overage_unit_price)::text, 'none')) end,
           case when w.currency <> b.currency then 'currency' end) end
  from written w
  left join before b using (plan, metric)
 order by 1
