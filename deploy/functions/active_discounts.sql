-- Those of some discounts, as preview_spec gives them, that take something off an invoice of that time and currency. One
-- whose end is not known goes on; one that counts once was used if it says so.
CREATE OR REPLACE FUNCTION active_discounts(p_discounts jsonb, p_at numeric, p_currency text) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(jsonb_agg(d.discount ORDER BY d.place), '[]')
      FROM jsonb_array_elements(p_discounts) WITH ORDINALITY d (discount, place)
     WHERE d.discount ->> 'duration' IS NOT NULL
       AND NOT coalesce((d.discount ->> 'is_used')::boolean, false)
       AND (d.discount ->> 'ends' IS NULL OR p_at < (d.discount ->> 'ends')::numeric)
       AND (d.discount ->> 'percent_off' IS NOT NULL OR d.discount ->> 'currency' = p_currency)
$$;

COMMENT ON FUNCTION active_discounts IS 'Those discounts that take something off an invoice of that time.';
