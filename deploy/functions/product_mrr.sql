-- What each product of these items earns a month, in minor units; together exactly items_mrr(). What a discount takes off
-- all items is spread over them by what they cost, to a millionth of a minor unit; the last one bears the rest.
CREATE OR REPLACE FUNCTION product_mrr(p_items jsonb, p_discounts jsonb, p_currency text)
RETURNS TABLE (product text, mrr fraction)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    total fraction := items_mrr(p_items, p_discounts, p_currency);
    products text[];
    parts fraction[];
    whole fraction;
    share numeric;
    given numeric := 0;
BEGIN
    IF total IS NULL THEN
        RETURN;
    END IF;
    SELECT array_agg(x.product ORDER BY x.product), array_agg(x.mrr ORDER BY x.product) INTO products, parts
      FROM (SELECT coalesce(p.stripe_product_id, '') AS product,
                   fraction_sum(array_agg(items_mrr(jsonb_build_array(i.item), '[]', p_currency))) AS mrr
              FROM jsonb_array_elements(p_items) i (item)
              JOIN stripe_prices p ON p.stripe_price_id = i.item ->> 'price'
             WHERE p.usage_type IS DISTINCT FROM 'metered'
             GROUP BY 1) x;
    whole := fraction_sum(parts);
    FOR i IN 1 .. coalesce(cardinality(parts), 0) LOOP
        product := products[i];
        IF i = cardinality(parts) THEN
            mrr := ROW(total.numerator - given * total.denominator, total.denominator)::fraction;
        ELSIF whole.numerator = 0 THEN
            mrr := ROW(0, 1)::fraction;
        ELSIF whole.numerator * total.denominator = total.numerator * whole.denominator THEN
            mrr := parts[i];
            total := fraction_sum(ARRAY[total, ROW(-mrr.numerator, mrr.denominator)::fraction]);
            whole := total;
        ELSE
            share := round(parts[i].numerator * total.numerator * whole.denominator
                           / (parts[i].denominator * total.denominator * whole.numerator), 6);
            given := given + share;
            mrr := ROW(share, 1)::fraction;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;

COMMENT ON FUNCTION product_mrr IS 'What each product of these items earns a month, exactly in sum.';
