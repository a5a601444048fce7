-- All submissions with what their identifiers and bodies are made of. found: the identifier of one that was adopted from
-- Stripe after a restore, which has no body.
select identifier, tenant, metric, transport, stripe_customer_id, event_name, stripe_subscription_item_id,
       extract(epoch from period_start)::int8, claim::int8, extract(epoch from usage_at)::int8,
       trim_scale(quantity)::text, body,
       case when starts_with(identifier, 'ml-found-')
            then 'ml-found-' || encode(sha256(convert_to(concat_ws(chr(10), stripe_customer_id, event_name,
                     stripe_subscription_item_id, extract(epoch from usage_at)::int8), 'UTF8')), 'hex') end as found
  from usage_submissions
