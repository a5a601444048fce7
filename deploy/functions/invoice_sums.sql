-- Takes discounts off the lines of an invoice, adds taxes, and sums up. Pure. Whole minor units, rounded half away from
-- zero: a percentage off for each line, in the order of the discounts, those of the line itself first; an amount off is
-- taken off once and spread over the lines that are left with something; each tax for each line, of what is left of it.
-- Taxes that a price includes are shown and add nothing; one on top is of the amount without those.
--
-- p_lines: [{amount, discountable, discounts, tax_rates, …}]; tax_rates NULL or []: those of the invoice. A discount of
-- a line is a percentage, or an amount for all lines of its `item`.
CREATE OR REPLACE FUNCTION invoice_sums(p_lines jsonb, p_discounts jsonb, p_tax_rates jsonb, p_currency text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    lines jsonb[] := ARRAY(SELECT l.line FROM jsonb_array_elements(p_lines) WITH ORDINALITY l (line, place) ORDER BY l.place);
    many integer := cardinality(lines);
    nets numeric[];
    offs jsonb[];
    taxes jsonb[];
    off record;
    weights numeric[];
    shares numeric[];
    rates jsonb;
    included numeric;    -- per cent, of all taxes that a line includes
    base numeric;
    rate record;
    tax numeric;
    subtotal numeric := 0;
    discounted numeric := 0;
    on_top numeric := 0;
    within numeric := 0;
    result jsonb := '[]';
BEGIN
    FOR i IN 1 .. many LOOP
        nets[i] := (lines[i] ->> 'amount')::numeric;
        subtotal := subtotal + nets[i];
        offs[i] := '[]';
        taxes[i] := '[]';
    END LOOP;

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
        FOR i IN 1 .. many LOOP
            weights[i] := CASE WHEN (lines[i] ->> 'discountable')::boolean AND nets[i] > 0
                                AND (off.level = 1 OR lines[i] ->> 'item' = off.item AND lines[i] -> 'discounts' @> jsonb_build_array(off.discount))
                               THEN nets[i] ELSE 0 END;
            shares[i] := rounded_amount(weights[i] * (off.discount ->> 'percent_off')::numeric, 100, p_currency);
        END LOOP;
        IF off.discount ->> 'percent_off' IS NULL AND many > 0 THEN
            shares := spread_amount(div(least((off.discount ->> 'amount_off')::numeric, (SELECT sum(w) FROM unnest(weights) w)),
                                        amount_step(p_currency)), weights);
            shares := ARRAY(SELECT x.share * amount_step(p_currency)
                              FROM unnest(shares) WITH ORDINALITY x (share, place) ORDER BY x.place);
        END IF;
        FOR i IN 1 .. many LOOP
            CONTINUE WHEN shares[i] = 0;
            nets[i] := nets[i] - shares[i];
            discounted := discounted + shares[i];
            offs[i] := offs[i] || jsonb_build_object('discount', off.discount ->> 'id', 'amount', shares[i]);
        END LOOP;
    END LOOP;

    FOR i IN 1 .. many LOOP
        rates := lines[i] -> 'tax_rates';
        IF rates IS NULL OR jsonb_typeof(rates) <> 'array' OR rates = '[]' THEN
            rates := p_tax_rates;
        END IF;
        SELECT coalesce(sum((r ->> 'percentage')::numeric), 0) INTO included
          FROM jsonb_array_elements(rates) r WHERE (r ->> 'inclusive')::boolean;
        base := nets[i];
        FOR rate IN SELECT r.rate ->> 'id' AS id, (r.rate ->> 'percentage')::numeric AS percentage,
                           (r.rate ->> 'inclusive')::boolean AS inclusive
                      FROM jsonb_array_elements(rates) WITH ORDINALITY r (rate, place)
                     ORDER BY (r.rate ->> 'inclusive')::boolean DESC, r.place LOOP
            IF rate.inclusive THEN
                tax := rounded_amount(nets[i] * rate.percentage, 100 + included, p_currency);
                base := base - tax;
                within := within + tax;
            ELSE
                tax := rounded_amount(base * rate.percentage, 100, p_currency);
                on_top := on_top + tax;
            END IF;
            taxes[i] := taxes[i] || jsonb_build_object('tax_rate', rate.id, 'percentage', rate.percentage,
                                                       'inclusive', rate.inclusive, 'amount', tax);
        END LOOP;
        result := result || jsonb_build_array((lines[i] - 'discounts' - 'tax_rates' - 'discountable')
                                              || jsonb_build_object('discount_amounts', offs[i], 'taxes', taxes[i]));
    END LOOP;
    RETURN jsonb_build_object('lines', result, 'subtotal', subtotal, 'discount', discounted, 'tax', on_top + within,
                              'tax_inclusive', within, 'total', subtotal - discounted + on_top);
END $$;

COMMENT ON FUNCTION invoice_sums IS 'Takes discounts off the lines of an invoice, adds taxes, and sums up.';
