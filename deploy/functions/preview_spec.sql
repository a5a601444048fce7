-- All that the next invoice of a subscription follows from, of what is stored: for preview_lines, which says what becomes
-- of it. Times in Unix seconds.
CREATE OR REPLACE FUNCTION preview_spec(p_subscription subscriptions, p_at timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    s subscriptions := p_subscription;
    items jsonb;
    pending jsonb;
BEGIN
    SELECT jsonb_agg(jsonb_build_object(
               'id', i.stripe_subscription_item_id, 'price', coalesce(to_jsonb(p), jsonb_build_object('stripe_price_id', i.stripe_price_id)),
               'quantity', i.quantity, 'start', extract(epoch FROM coalesce(i.current_period_start, s.current_period_start)),
               'end', extract(epoch FROM coalesce(i.current_period_end, s.current_period_end)),
               'usage', item_usage(i, coalesce(i.current_period_start, s.current_period_start)),
               'discounts', discount_terms(i.discounts, s.stripe_subscription_id), 'tax_rates', i.tax_rates)
               ORDER BY p.usage_type = 'metered', i.stripe_subscription_item_id)
      INTO items
      FROM subscription_items i
      LEFT JOIN stripe_prices p USING (stripe_price_id)
     WHERE i.stripe_subscription_id = s.stripe_subscription_id;

    SELECT jsonb_agg(jsonb_build_object(
               'invoice_item', x.stripe_invoice_item_id, 'item', x.stripe_subscription_item_id, 'price', x.stripe_price_id,
               'metric', p.metric, 'quantity', x.quantity, 'amount', x.amount_minor, 'proration', x.is_proration,
               'description', x.description, 'period_start', extract(epoch FROM x.period_start),
               'period_end', extract(epoch FROM x.period_end), 'discountable', x.is_discountable, 'tax_rates', x.tax_rates)
               ORDER BY x.item_at, x.stripe_invoice_item_id)
      INTO pending
      FROM invoice_items x
      LEFT JOIN stripe_prices p USING (stripe_price_id)
     WHERE x.stripe_customer_id = s.stripe_customer_id AND x.stripe_invoice_id IS NULL AND x.deleted_at IS NULL
       AND x.currency = s.currency
       AND (x.stripe_subscription_id IS NULL OR x.stripe_subscription_id = s.stripe_subscription_id)
       -- No event tells that an invoice has taken an item: those of a subscription take all that wait.
       AND NOT EXISTS (SELECT FROM invoices n
                        WHERE n.stripe_subscription_id = coalesce(x.stripe_subscription_id, s.stripe_subscription_id)
                          AND n.status <> 'deleted' AND n.created_at IS NOT NULL
                          AND (n.created_at > x.item_at AND n.billing_reason LIKE 'subscription%'
                               OR n.created_at = x.item_at AND n.billing_reason = 'subscription_update'));

    RETURN jsonb_build_object(
        'subscription', s.stripe_subscription_id, 'status', s.status, 'currency', s.currency, 'billing_mode', s.billing_mode,
        'at', floor(extract(epoch FROM p_at)), 'trialing', s.status = 'trialing',
        'due', (SELECT min((i ->> 'end')::numeric) FROM jsonb_array_elements(items) i),
        'anchor', extract(epoch FROM s.billing_cycle_anchor), 'interval', s.billing_interval, 'count', s.interval_count,
        'ends', extract(epoch FROM s.cancel_at), 'discounts', discount_terms(s.discounts, s.stripe_subscription_id),
        'tax_rates', s.tax_rates, 'items', coalesce(items, '[]'), 'pending', coalesce(pending, '[]'));
END $$;

COMMENT ON FUNCTION preview_spec IS 'All that the next invoice of a subscription follows from.';
