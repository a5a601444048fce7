-- The taxes of each line of an invoice, [{tax_rate, percentage, inclusive, amount}] for each. Pure; part of invoice_sums.
--
-- A tax within the amount is of it; one on top is of the amount without those. Stripe rounds in one of two ways, as the
-- account says (docs.stripe.com/billing/taxes/tax-rates#rounding): each line, and then it adds up; or the sum of all
-- lines of a rate, once, from their exact parts. p_by_line: the former.
CREATE OR REPLACE FUNCTION invoice_taxes(p_nets numeric[], p_rates jsonb[], p_currency text, p_by_line boolean) RETURNS jsonb[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    taxes jsonb[] := ARRAY(SELECT '[]'::jsonb FROM unnest(p_nets));
    within numeric[] := ARRAY(SELECT 0::numeric FROM unnest(p_nets));   -- taxes of each line that its amount includes
    rate record;
    line record;
    amounts numeric[];
BEGIN
    FOR rate IN   -- those within first
        SELECT r.rate ->> 'id' AS id, (r.rate ->> 'percentage')::numeric AS percentage, (r.rate ->> 'inclusive')::boolean AS inclusive,
               array_agg(n.place ORDER BY n.place) AS places,
               array_agg(ROW(p_nets[n.place] * (r.rate ->> 'percentage')::numeric,
                             100 + coalesce((SELECT sum((o ->> 'percentage')::numeric) FROM jsonb_array_elements(p_rates[n.place]) o
                                              WHERE (o ->> 'inclusive')::boolean), 0))::fraction ORDER BY n.place) AS exact
          FROM generate_series(1, cardinality(p_nets)) n (place)
         CROSS JOIN LATERAL jsonb_array_elements(p_rates[n.place]) WITH ORDINALITY r (rate, place)
         GROUP BY 1, 2, 3
         ORDER BY (r.rate ->> 'inclusive')::boolean DESC, min(r.place), 1
    LOOP
        IF NOT p_by_line THEN
            amounts := (SELECT spread_amount(rounded_amount((x.sum).numerator, (x.sum).denominator, p_currency), rate.exact,
                                             amount_step(p_currency))
                          FROM (SELECT fraction_sum(rate.exact) AS sum) x);
        END IF;
        FOR line IN SELECT x.at, x.place FROM unnest(rate.places) WITH ORDINALITY x (place, at) LOOP
            IF p_by_line THEN
                amounts[line.at] := CASE WHEN rate.inclusive
                    THEN rounded_amount(rate.exact[line.at].numerator, rate.exact[line.at].denominator, p_currency)
                    ELSE rounded_amount((p_nets[line.place] - within[line.place]) * rate.percentage, 100, p_currency) END;
            END IF;
            taxes[line.place] := taxes[line.place] || jsonb_build_object('tax_rate', rate.id, 'percentage', rate.percentage,
                'inclusive', rate.inclusive, 'amount', amounts[line.at]);
            IF rate.inclusive THEN
                within[line.place] := within[line.place] + amounts[line.at];
            END IF;
        END LOOP;
        amounts := NULL;
    END LOOP;
    RETURN taxes;
END $$;

COMMENT ON FUNCTION invoice_taxes IS 'The taxes of each line of an invoice.';
