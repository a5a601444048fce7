-- What the discounts of a subscription or an item take off, in their order, as active_discounts takes them. One that
-- counts once was used by an invoice that asked for something since it began. Terms that nothing told are left out:
-- `unknown_discounts` of a preview names those.
CREATE OR REPLACE FUNCTION discount_terms(p_discounts jsonb, p_subscription text) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object(
               'id', d.discount ->> 'id', 'duration', k.duration, 'percent_off', trim_scale(k.percent_off),
               'amount_off', k.amount_off, 'currency', k.currency, 'ends', extract(epoch FROM k.ends_at)::bigint,
               'is_used', k.duration = 'once' AND EXISTS (
                   SELECT FROM invoices n
                    WHERE n.stripe_subscription_id = p_subscription AND n.subtotal_minor > 0
                      AND n.status NOT IN ('void', 'deleted') AND n.created_at >= k.starts_at)) ORDER BY d.place), '[]')
      FROM jsonb_array_elements(p_discounts) WITH ORDINALITY d (discount, place)
      LEFT JOIN stripe_discounts k ON k.stripe_discount_id = d.discount ->> 'id'
$$;

COMMENT ON FUNCTION discount_terms IS 'What discounts take off, in their order.';
