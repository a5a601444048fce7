-- The items of what preview_spec gives, as they are (old_…) and as the change makes them: price NULL is removed, old_price
-- NULL is new. start_s and end_s are the period that an item has, new_start_s and new_end_s the one that it has after the
-- change: one that is added, or gets another interval now, has the cycle of its new price, from the subscription's anchor
-- on. Pure; part of preview_lines.
CREATE OR REPLACE FUNCTION preview_items(p_spec jsonb)
RETURNS TABLE (place bigint, id text, old_price stripe_prices, old_quantity numeric, price stripe_prices, quantity numeric,
               was_metered boolean, is_metered boolean, is_replaced boolean, usage numeric, start_s numeric, end_s numeric,
               new_start_s numeric, new_end_s numeric, discounts jsonb, in_force jsonb, tax_rates jsonb)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    WITH spec AS (
        SELECT (SELECT min((i ->> 'start')::numeric) FROM jsonb_array_elements(p_spec -> 'items') i) AS start_s,
               (p_spec ->> 'due')::numeric AS due_s,
               jsonb_typeof(p_spec -> 'change') = 'object' AS is_change,
               coalesce(p_spec #>> '{change,at}' = 'now', false) AS is_now,
               to_timestamp((p_spec ->> 'anchor')::float8) AS anchor, to_timestamp((p_spec ->> 'at')::float8) AS at
    ), old AS (
        SELECT i.place, i.item, jsonb_populate_record(NULL::stripe_prices, i.item -> 'price') AS price
          FROM jsonb_array_elements(p_spec -> 'items') WITH ORDINALITY i (item, place)
    ), new AS (
        SELECT i.place, i.item, jsonb_populate_record(NULL::stripe_prices, i.item -> 'price') AS price
          FROM jsonb_array_elements(CASE WHEN (SELECT is_change FROM spec) THEN p_spec -> 'change' -> 'items'
                                         ELSE p_spec -> 'items' END) WITH ORDINALITY i (item, place)
    )
    SELECT coalesce(o.place, 1000 + n.place), o.item ->> 'id', o.price,
           CASE WHEN o.item IS NOT NULL THEN coalesce((o.item ->> 'quantity')::numeric, 1) END,
           n.price, CASE WHEN n.item IS NOT NULL THEN coalesce((n.item ->> 'quantity')::numeric, 1) END,
           CASE WHEN o.item IS NOT NULL THEN coalesce((o.price).usage_type = 'metered', false) END,
           CASE WHEN n.item IS NOT NULL THEN coalesce((n.price).usage_type = 'metered', false) END,
           ((o.price).stripe_price_id, CASE WHEN (o.price).usage_type IS DISTINCT FROM 'metered'
                                            THEN coalesce((o.item ->> 'quantity')::numeric, 1) END)
           IS DISTINCT FROM
           ((n.price).stripe_price_id, CASE WHEN (n.price).usage_type IS DISTINCT FROM 'metered'
                                            THEN coalesce((n.item ->> 'quantity')::numeric, 1) END),
           coalesce((o.item ->> 'usage')::numeric, 0), coalesce((o.item ->> 'start')::numeric, s.start_s),
           coalesce((o.item ->> 'end')::numeric, s.due_s),
           coalesce(extract(epoch FROM c.began), (o.item ->> 'start')::numeric, s.start_s),
           coalesce(extract(epoch FROM next_period(s.anchor, (n.price).billing_interval, (n.price).interval_count, c.began)),
                    (o.item ->> 'end')::numeric, s.due_s),
           coalesce(o.item -> 'discounts', '[]'),
           active_discounts(coalesce(o.item -> 'discounts', '[]') || coalesce(p_spec -> 'discounts', '[]'),
                            (p_spec ->> 'at')::numeric, p_spec ->> 'currency'),
           o.item -> 'tax_rates'
      FROM old o
      FULL JOIN new n ON n.item ->> 'id' = o.item ->> 'id'
     CROSS JOIN spec s
     CROSS JOIN LATERAL (
           SELECT CASE WHEN s.anchor <= s.at
                        AND (o.item IS NULL
                             OR s.is_now AND ((n.price).billing_interval, (n.price).interval_count)
                                             IS DISTINCT FROM ((o.price).billing_interval, (o.price).interval_count))
                       THEN cycle_start(s.anchor, (n.price).billing_interval, (n.price).interval_count, s.at) END) c (began)
$$;

COMMENT ON FUNCTION preview_items IS 'Items of a subscription, as they are and as a change makes them.';
