-- Our preview beside Stripe's: p_ours as preview_invoice gives it, p_stripe the invoice of create_preview, NULL where
-- Stripe says that none is upcoming. Returns p_ours with `stripe` and `difference`: the sums, and of each price whose
-- lines come to something else what we have, what Stripe has, and the likely reason. Lines of one price are added up,
-- since Stripe may cut them in other places than we do; credits, charges and prorations apart. Stripe gives the first ten
-- lines of a preview: if there are more, the sums alone are compared, and `lines_cut` says so.
CREATE OR REPLACE FUNCTION compare_preview(p_ours jsonb, p_stripe jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    currency text := p_ours ->> 'currency';
    sums jsonb := stripe_invoice_sums(p_stripe);
    theirs jsonb := '[]';
    is_cut boolean := coalesce((p_stripe #>> '{lines,has_more}')::boolean, false);
    differences jsonb := '[]';
    totals jsonb := '{}';
    name text;
    off numeric;
    agrees boolean;
BEGIN
    IF p_stripe IS NULL THEN
        RETURN p_ours - 'request' || jsonb_build_object('stripe', jsonb_build_object('asked', true, 'upcoming', false),
            'difference', jsonb_build_object('agrees', NOT (p_ours ->> 'upcoming')::boolean, 'lines', '[]'::jsonb));
    END IF;
    SELECT coalesce(jsonb_agg(stripe_line(l.line, currency) ORDER BY l.place), '[]') INTO theirs
      FROM jsonb_array_elements(p_stripe #> '{lines,data}') WITH ORDINALITY l (line, place);
    IF NOT is_cut THEN
        SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                   'price', x.price, 'metric', x.metric, 'proration', x.proration, 'ours', shown_amount(to_jsonb(x.ours), currency),
                   'stripe', shown_amount(to_jsonb(x.stripe), currency), 'our_quantity', x.our_quantity::text,
                   'stripe_quantity', x.stripe_quantity::text,
                   'reason', CASE WHEN x.unknown THEN 'unknown_price'
                                  WHEN x.metric IS NOT NULL AND x.our_quantity <> x.stripe_quantity THEN 'usage_on_its_way'
                                  WHEN x.derived THEN 'derived_proration'
                                  WHEN x.ours IS NULL THEN 'only_at_stripe'
                                  WHEN x.stripe IS NULL THEN 'only_ours' ELSE 'amount' END)) ORDER BY x.price), '[]')
          INTO differences
          FROM (SELECT coalesce(y.price, '') AS price, max(y.metric) AS metric, y.proration, bool_or(y.unknown) AS unknown,
                       bool_or(y.derived) AS derived, sum(y.amount) FILTER (WHERE y.is_ours) AS ours,
                       sum(y.amount) FILTER (WHERE NOT y.is_ours) AS stripe,
                       sum(y.quantity) FILTER (WHERE y.is_ours) AS our_quantity,
                       sum(y.quantity) FILTER (WHERE NOT y.is_ours) AS stripe_quantity
                  FROM (SELECT true AS is_ours, l ->> 'price' AS price, l ->> 'metric' AS metric, (l ->> 'proration')::boolean AS proration,
                               (l #>> '{amount,amount_minor}')::numeric AS amount, (l ->> 'quantity')::numeric AS quantity,
                               coalesce((l ->> 'derived')::boolean, false) AS derived, NOT l ? 'amount' AS unknown
                          FROM jsonb_array_elements(p_ours -> 'lines') l
                        UNION ALL
                        SELECT false, l ->> 'price', NULL, (l ->> 'proration')::boolean, (l #>> '{amount,amount_minor}')::numeric,
                               (l ->> 'quantity')::numeric, false, false
                          FROM jsonb_array_elements(theirs) l) y
                 GROUP BY 1, y.proration, coalesce(y.amount, 0) < 0) x
         WHERE coalesce(x.ours, 0) <> coalesce(x.stripe, 0) OR x.unknown
            OR x.metric IS NOT NULL AND x.our_quantity <> x.stripe_quantity;
    END IF;
    agrees := differences = '[]';
    FOREACH name IN ARRAY ARRAY['subtotal', 'discount', 'tax', 'total'] LOOP
        off := (p_ours #>> ARRAY[name, 'amount_minor'])::numeric - (sums ->> name)::numeric;
        totals := totals || jsonb_build_object(name, shown_amount(to_jsonb(off), currency));
        agrees := agrees AND off IS NOT DISTINCT FROM 0;
    END LOOP;
    RETURN p_ours - 'request' || jsonb_build_object(
        'stripe', jsonb_build_object(
            'asked', true, 'upcoming', true, 'subtotal', shown_amount(sums -> 'subtotal', currency),
            'discount', shown_amount(sums -> 'discount', currency), 'tax', shown_amount(sums -> 'tax', currency),
            'total', shown_amount(sums -> 'total', currency), 'amount_due', shown_amount(sums -> 'amount_due', currency),
            'lines', theirs, 'lines_cut', is_cut),
        'difference', totals || jsonb_build_object('agrees', agrees, 'lines', differences));
END $$;

COMMENT ON FUNCTION compare_preview IS 'Our preview beside Stripe''s, and what differs.';
