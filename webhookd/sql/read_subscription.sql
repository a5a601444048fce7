-- What is stored of a subscription; `state` is the text that subscription_object.c makes of an event's.
-- $1 text: Stripe's subscription id
select s.tenant, (s.status in ('canceled', 'incomplete_expired'))::integer as final,
       coalesce(extract(epoch from s.event_created)::bigint, -1) as created_s,
       concat_ws('|', s.stripe_customer_id, s.status,
                 extract(epoch from s.current_period_start)::bigint,
                 extract(epoch from s.current_period_end)::bigint,
                 coalesce(extract(epoch from s.ended_at)::bigint, 0), s.cancel_at_period_end::integer)
       || coalesce((select string_agg('|' || i.stripe_subscription_item_id || '=' || i.stripe_price_id
                                      || coalesce('*' || i.quantity, ''), ''
                                      order by i.stripe_subscription_item_id collate "C")
                      from subscription_items i
                     where i.stripe_subscription_id = s.stripe_subscription_id), '') as state
  from subscriptions s
 where s.stripe_subscription_id = $1::text
   for update
