-- Makes invoice items what their newest observations say. Other objects are left out.
CREATE OR REPLACE FUNCTION store_invoice_items(p_objects text[]) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    INSERT INTO invoice_items AS i (
           stripe_invoice_item_id, tenant, stripe_customer_id, stripe_subscription_id, stripe_subscription_item_id,
           stripe_invoice_id, stripe_price_id, description, currency, amount_minor, quantity, is_proration, is_discountable,
           tax_rates, period_start, period_end, item_at, deleted_at)
    SELECT o.object_id, c.tenant, o.customer_id, o.facts ->> 'subscription', o.facts ->> 'subscription_item',
           o.facts ->> 'invoice', o.facts ->> 'price', o.facts ->> 'description', o.facts ->> 'currency',
           (o.facts ->> 'amount_minor')::bigint, (o.facts ->> 'quantity')::bigint,
           coalesce((o.facts ->> 'is_proration')::boolean, false), coalesce((o.facts ->> 'is_discountable')::boolean, false),
           coalesce(o.facts -> 'tax_rates', '[]'), fact_time(o.facts, 'start'), fact_time(o.facts, 'end'),
           coalesce(fact_time(o.facts, 'item_at'), o.created_at), CASE WHEN o.is_final THEN o.created_at END
      FROM unnest(p_objects) x (id)
     CROSS JOIN LATERAL (SELECT y.* FROM stripe_observations y
                          WHERE y.object_id = x.id AND y.kind = 'invoice_item' AND y.is_last
                          ORDER BY y.is_final DESC, y.created_at DESC, y.event_id LIMIT 1) o
      JOIN stripe_customers c ON c.stripe_customer_id = o.customer_id AND c.tenant IS NOT NULL
    ON CONFLICT (stripe_invoice_item_id) DO UPDATE
       SET tenant = excluded.tenant, stripe_customer_id = excluded.stripe_customer_id,
           stripe_subscription_id = excluded.stripe_subscription_id,
           stripe_subscription_item_id = excluded.stripe_subscription_item_id,
           stripe_invoice_id = excluded.stripe_invoice_id, stripe_price_id = excluded.stripe_price_id,
           description = excluded.description, currency = excluded.currency, amount_minor = excluded.amount_minor,
           quantity = excluded.quantity, is_proration = excluded.is_proration, is_discountable = excluded.is_discountable,
           tax_rates = excluded.tax_rates, period_start = excluded.period_start, period_end = excluded.period_end,
           item_at = excluded.item_at, deleted_at = excluded.deleted_at, updated_at = now();
END $$;

COMMENT ON FUNCTION store_invoice_items IS 'Makes invoice items what their newest observations say.';
