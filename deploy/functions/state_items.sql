-- Items of a state of a subscription, as preview_spec has them, for the period of p_spec.
CREATE OR REPLACE FUNCTION state_items(p_items jsonb, p_subscription text, p_spec jsonb) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object(
               'id', x.item ->> 'id', 'quantity', x.item -> 'quantity',
               'price', coalesce(to_jsonb(p), jsonb_build_object('stripe_price_id', x.item ->> 'price')),
               'start', coalesce(o.item -> 'start', to_jsonb((SELECT min((i ->> 'start')::numeric) FROM jsonb_array_elements(p_spec -> 'items') i))),
               'end', coalesce(o.item -> 'end', p_spec -> 'due'),
               'discounts', discount_terms(coalesce(x.item -> 'discounts', '[]'), p_subscription),
               'tax_rates', coalesce(o.item -> 'tax_rates', 'null')) ORDER BY x.place), '[]')
      FROM jsonb_array_elements(p_items) WITH ORDINALITY x (item, place)
      LEFT JOIN stripe_prices p ON p.stripe_price_id = x.item ->> 'price'
      LEFT JOIN jsonb_array_elements(p_spec -> 'items') o (item) ON o.item ->> 'id' = x.item ->> 'id'
$$;

COMMENT ON FUNCTION state_items IS 'Items of a state of a subscription, as preview_spec has them.';
