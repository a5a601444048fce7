-- What usage cost in the last full period of each subscription, by the tiers of its price: before discounts and tax, in
-- whole minor units, rounded half away from zero as on an invoice, for whole units as Stripe bills them. A period counts
-- until the next one is over, too. is_final: its invoice can change no more. The amount is NULL where a price or its tiers
-- are not known.
CREATE OR REPLACE FUNCTION metered_revenue(p_at timestamptz DEFAULT now())
RETURNS TABLE (subscription text, tenant text, plan text, product text, metric text, currency text, period_start timestamptz,
               period_end timestamptz, quantity numeric, amount_minor numeric, is_final boolean)
LANGUAGE sql STABLE SET jit = off AS $$
    WITH totals AS MATERIALIZED (
        SELECT DISTINCT ON (u.tenant, u.metric) u.tenant, u.metric, u.period_start, u.period_end, u.quantity
          FROM usage_totals u
         WHERE u.period_end <= p_at AND p_at < u.period_end + 1.15 * (u.period_end - u.period_start) -- the next month may be longer
         ORDER BY u.tenant, u.metric, u.period_start DESC
    )
    SELECT s.stripe_subscription_id, u.tenant, coalesce(x.plan, ''), coalesce(p.stripe_product_id, ''), u.metric, p.currency,
           u.period_start, u.period_end, u.quantity, fraction_round(ROW(price_amount(p, floor(u.quantity)), 1)::fraction),
           has_final_invoice(u.tenant, s.stripe_subscription_id, u.period_end)
      FROM totals u
      JOIN subscriptions s ON s.tenant = u.tenant
     CROSS JOIN LATERAL (SELECT y.* FROM subscription_states y
                          WHERE y.stripe_subscription_id = s.stripe_subscription_id AND y.valid_from < u.period_end
                          ORDER BY y.valid_from DESC LIMIT 1) x
     CROSS JOIN LATERAL jsonb_to_recordset(x.items) i (id text, price text)
      JOIN stripe_prices p ON p.stripe_price_id = i.price AND p.usage_type = 'metered'
      LEFT JOIN subscription_items o ON o.stripe_subscription_item_id = i.id
     WHERE coalesce(p.metric, o.metric) = u.metric AND x.status NOT IN ('canceled', 'incomplete', 'incomplete_expired')
$$;

COMMENT ON FUNCTION metered_revenue IS 'What usage cost in the last full period of each subscription.';
