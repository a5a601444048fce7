-- What a discount takes off each line of an invoice: of what is left of the lines that it counts for, and never more. A
-- percentage is of their sum, since it is taken off the invoice's subtotal (docs.stripe.com/api/coupons); it is rounded
-- once, and spread like an amount. p_nets: what is left of each line; p_counts: whether it counts for it. Pure; part of
-- invoice_sums.
CREATE OR REPLACE FUNCTION take_discount(p_discount jsonb, p_nets numeric[], p_counts boolean[], p_currency text)
RETURNS numeric[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    weights numeric[] := ARRAY(SELECT CASE WHEN x.counts AND x.net > 0 THEN x.net ELSE 0 END
                                 FROM unnest(p_nets, p_counts) WITH ORDINALITY x (net, counts, place) ORDER BY x.place);
    base numeric := coalesce((SELECT sum(w) FROM unnest(weights) w), 0);
    off numeric;
BEGIN
    IF base = 0 THEN
        RETURN weights;
    END IF;
    off := CASE WHEN p_discount ->> 'percent_off' IS NOT NULL
                THEN rounded_amount(base * (p_discount ->> 'percent_off')::numeric, 100, p_currency)
                ELSE least(div((p_discount ->> 'amount_off')::numeric, amount_step(p_currency)) * amount_step(p_currency), base) END;
    RETURN spread_amount(off, ARRAY(SELECT ROW(off * x.weight, base)::fraction
                                      FROM unnest(weights) WITH ORDINALITY x (weight, place) ORDER BY x.place),
                         amount_step(p_currency));
END $$;

COMMENT ON FUNCTION take_discount IS 'What a discount takes off each line of an invoice.';
