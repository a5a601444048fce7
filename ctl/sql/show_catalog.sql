-- The catalog in the form of its file, without what is retired. A price of more than nine digits
-- behind the point is shown per 1000, as the file would have to put it.
select json_build_object(
    'metrics', (
        select coalesce(json_agg(json_strip_nulls(json_build_object(
                   'metric', metric, 'name', display_name, 'unit', unit, 'aggregation', aggregation,
                   'carry', case when carry then true end,
                   'dimensions', case when dimensions <> '{}' then to_json(dimensions) end,
                   'from', from_metric,
                   'where', case when where_dimensions <> '{}' then where_dimensions end,
                   'stripe_event_name', stripe_event_name, 'transport', transport))
                   order by metric), '[]')
          from metrics
         where retired_at is null),
    'plans', (
        select coalesce(json_agg(json_strip_nulls(json_build_object(
                   'plan', p.plan, 'name', p.display_name, 'currency', p.currency,
                   'base_amount_minor', p.base_amount_minor, 'interval', p.billing_interval,
                   'stripe_lookup_key', p.stripe_lookup_key,
                   'limits', (
                       select coalesce(json_object_agg(l.metric, json_build_object(
                                  'included', coalesce(trim_scale(l.included)::text, 'unlimited'),
                                  'cap', l.cap,
                                  'overage', case when l.overage_unit_price is not null then
                                      json_build_object(
                                          'amount_minor',
                                          trim_scale(l.overage_unit_price * x.per)::text,
                                          'per', x.per::text) end) order by l.metric), '{}')
                         from plan_limits l
                        cross join lateral (
                            select case when scale(trim_scale(l.overage_unit_price)) > 9
                                        then 1000 else 1 end) as x (per)
                        where l.plan = p.plan)))
                   order by p.base_amount_minor, p.plan), '[]')
          from plans p
         where p.retired_at is null))
