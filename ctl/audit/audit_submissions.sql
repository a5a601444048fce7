-- All submissions with what their identifiers and bodies are made of. found: the identifier of one that was adopted
-- from Stripe after a restore; it has no body.
SELECT identifier, tenant, metric, transport, stripe_customer_id, event_name, stripe_subscription_item_id,
       extract(epoch FROM period_start)::int8, claim::int8, extract(epoch FROM usage_at)::int8,
       trim_scale(quantity)::text, body,
       CASE WHEN starts_with(identifier, 'ml-found-')
            THEN 'ml-found-' || encode(sha256(convert_to(concat_ws(chr(10), stripe_customer_id, event_name,
                     stripe_subscription_item_id, extract(epoch FROM usage_at)::int8), 'UTF8')), 'hex') END AS found
  FROM usage_submissions
