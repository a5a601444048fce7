-- Add and change plans. One row for each that is new or different: its name, and what changed.
-- $1 json: rows of plans
with wanted as (
    select * from json_to_recordset($1::json) as x (
        plan text, display_name text, currency text, base_amount_minor bigint,
        billing_interval text, stripe_lookup_key text)
), before as (
    select * from plans
), written as (
    insert into plans as p (plan, display_name, currency, base_amount_minor, billing_interval,
                            stripe_lookup_key)
    select plan, display_name, currency, base_amount_minor, billing_interval, stripe_lookup_key
      from wanted
        on conflict (plan) do update
       set display_name = excluded.display_name, currency = excluded.currency,
           base_amount_minor = excluded.base_amount_minor,
           billing_interval = excluded.billing_interval,
           stripe_lookup_key = excluded.stripe_lookup_key, retired_at = null
     where (p.display_name, p.currency, p.base_amount_minor, p.billing_interval,
            p.stripe_lookup_key, p.retired_at)
           is distinct from
           (excluded.display_name, excluded.currency, excluded.base_amount_minor,
            excluded.billing_interval, excluded.stripe_lookup_key, null::timestamptz)
    returning p.*
)
select w.plan,
       case when b.plan is null then 'added' else 'changed: ' || concat_ws(', ',
           case when b.retired_at is not null then 'no longer retired' end,
           case when w.display_name <> b.display_name then 'name' end,
           case when w.currency <> b.currency then 'currency' end,
           case when w.base_amount_minor <> b.base_amount_minor then
               format('base_amount_minor %s to %s', b.base_amount_minor, w.base_amount_minor) end,
           case when w.billing_interval <> b.billing_interval then 'interval' end,
           case when w.stripe_lookup_key is distinct from b.stripe_lookup_key
                then 'stripe_lookup_key' end) end
  from written w
  left join before b using (plan)
 order by w.plan
