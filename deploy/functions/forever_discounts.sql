-- Those of a subscription's or an item's discounts that last for ever, in their order. An event may give only their ids.
CREATE OR REPLACE FUNCTION forever_discounts(p_discounts jsonb, p_currency text)
RETURNS TABLE (place bigint, percent_off numeric, amount_off numeric)
LANGUAGE sql STABLE AS $$
    SELECT d.place, coalesce(k.percent_off, 0), coalesce(CASE WHEN k.currency = p_currency THEN k.amount_off END, 0)
      FROM jsonb_array_elements(p_discounts) WITH ORDINALITY d (discount, place)
      JOIN stripe_discounts k ON k.stripe_discount_id = d.discount ->> 'id'
     WHERE k.duration = 'forever'
$$;

COMMENT ON FUNCTION forever_discounts IS 'Those discounts that last for ever.';
