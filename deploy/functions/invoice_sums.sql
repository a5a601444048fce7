-- Takes discounts off the lines of an invoice, adds taxes, and sums up, in whole minor units. Pure. Discounts are taken off
-- one after the other, those of the lines themselves first; then taxes are of what is left (take_discount, invoice_taxes).
--
-- p_lines: [{amount, discountable, discounts, tax_rates, …}]; tax_rates NULL or []: those of the invoice. A discount of
-- a line is taken off all lines of its `item`. p_by_line: how taxes are rounded.
CREATE OR REPLACE FUNCTION invoice_sums(p_lines jsonb, p_discounts jsonb, p_tax_rates jsonb, p_currency text, p_by_line boolean)
RETURNS jsonb LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    lines jsonb[] := ARRAY(SELECT l.line FROM jsonb_array_elements(p_lines) WITH ORDINALITY l (line, place) ORDER BY l.place);
    nets numeric[] := ARRAY(SELECT (l.line ->> 'amount')::numeric
                              FROM jsonb_array_elements(p_lines) WITH ORDINALITY l (line, place) ORDER BY l.place);
    subtotal numeric := (SELECT CASE WHEN bool_or(n IS NULL) THEN NULL ELSE coalesce(sum(n), 0) END FROM unnest(nets) n);
    offs jsonb[] := ARRAY(SELECT '[]'::jsonb FROM unnest(nets));
    taxes jsonb[];
    off record;
    shares numeric[];
    discounted numeric := 0;
    sums record;
BEGIN
    FOR off IN
        SELECT x.* FROM (
            SELECT 0 AS level, min(l.place) AS first, d.place, l.line ->> 'item' AS item, d.discount
              FROM jsonb_array_elements(p_lines) WITH ORDINALITY l (line, place)
             CROSS JOIN LATERAL jsonb_array_elements(coalesce(l.line -> 'discounts', '[]')) WITH ORDINALITY d (discount, place)
             GROUP BY l.line ->> 'item', d.place, d.discount
            UNION ALL
            SELECT 1, 0, d.place, NULL, d.discount FROM jsonb_array_elements(p_discounts) WITH ORDINALITY d (discount, place)) x
         ORDER BY x.level, x.first, x.place
    LOOP
        shares := take_discount(off.discount, nets, ARRAY(
            SELECT (l.line ->> 'discountable')::boolean
                   AND (off.level = 1 OR l.line ->> 'item' = off.item AND l.line -> 'discounts' @> jsonb_build_array(off.discount))
              FROM jsonb_array_elements(p_lines) WITH ORDINALITY l (line, place) ORDER BY l.place), p_currency);
        FOR i IN 1 .. cardinality(nets) LOOP
            CONTINUE WHEN shares[i] = 0;
            nets[i] := nets[i] - shares[i];
            discounted := discounted + shares[i];
            offs[i] := offs[i] || jsonb_build_object('discount', off.discount ->> 'id', 'amount', shares[i]);
        END LOOP;
    END LOOP;

    taxes := invoice_taxes(nets, ARRAY(
        SELECT CASE WHEN jsonb_typeof(l.line -> 'tax_rates') = 'array' AND l.line -> 'tax_rates' <> '[]'
                    THEN l.line -> 'tax_rates' ELSE p_tax_rates END
          FROM jsonb_array_elements(p_lines) WITH ORDINALITY l (line, place) ORDER BY l.place), p_currency, p_by_line);
    SELECT coalesce(sum((t ->> 'amount')::numeric) FILTER (WHERE (t ->> 'inclusive')::boolean), 0) AS within,
           coalesce(sum((t ->> 'amount')::numeric) FILTER (WHERE NOT (t ->> 'inclusive')::boolean), 0) AS on_top
      INTO sums FROM unnest(taxes) x CROSS JOIN LATERAL jsonb_array_elements(x) t;
    RETURN jsonb_build_object(
        'lines', (SELECT coalesce(jsonb_agg((lines[i] - 'discounts' - 'tax_rates' - 'discountable')
                                            || jsonb_build_object('discount_amounts', offs[i], 'taxes', taxes[i]) ORDER BY i), '[]')
                    FROM generate_series(1, cardinality(lines)) i),
        'subtotal', subtotal, 'discount', discounted, 'tax', sums.on_top + sums.within, 'tax_inclusive', sums.within,
        'total', subtotal - discounted + sums.on_top);
END $$;

COMMENT ON FUNCTION invoice_sums IS 'Takes discounts off the lines of an invoice, adds taxes, and sums up.';
