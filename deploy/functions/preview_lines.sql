-- The lines of a subscription's next invoice, before discounts and tax, from what preview_spec gives. Pure.
--
-- Stripe invoices fees ahead and usage behind. So the invoice at the end of the period has what waits as invoice items,
-- the usage of the period, and the fees of the next one. A trial's usage is not billed. What ends with the period is not
-- billed ahead.
--
-- A change now (change.at = now) credits the unused time of each fee that is another one, and charges the rest of the
-- period for the new one, by the second, on the same invoice. With another interval of a fee, or from a plan without fees to one
-- with fees, the cycle begins anew: that is invoiced at once, with the whole first period. What was used so far of a
-- metered price that is replaced is billed at the old price in billing mode flexible, if it was anything, and never in
-- classic; the new price starts at nothing. A trial has no fee, so nothing is credited. A change at the period's end
-- changes the fees from then on. In billing mode flexible items may differ in their intervals: the next invoice is of those
-- whose period ends first, as it is after the change.
--
-- Returns {invoice_at, reset, lines: [{kind, item, price, metric, quantity, tier, amount, proration, period_start,
-- period_end, discountable, discounts, tax_rates}]}, times in Unix seconds. amount is NULL where a price is not known.
CREATE OR REPLACE FUNCTION preview_lines(p_spec jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    now_s numeric := (p_spec ->> 'at')::numeric;
    due_s numeric := (p_spec ->> 'due')::numeric;
    change jsonb := p_spec -> 'change';
    changes_now boolean := coalesce(change ->> 'at' = 'now', false) AND NOT (p_spec ->> 'trialing')::boolean;
    flexible boolean := coalesce(p_spec ->> 'billing_mode' = 'flexible', false);
    ends boolean;
    reset boolean := false;
    item record;
    lines jsonb := '[]';
    usage jsonb;
    until_s numeric;
BEGIN
    reset := changes_now AND begins_anew(p_spec);
    IF changes_now AND NOT reset THEN
        due_s := coalesce((SELECT min(x.new_end_s) FROM preview_items(p_spec) x WHERE x.is_metered IS NOT NULL), due_s);
    END IF;
    ends := coalesce((p_spec ->> 'ends')::numeric <= due_s, false);
    lines := lines || coalesce((SELECT jsonb_agg(jsonb_build_object('kind', 'pending', 'discountable', false, 'discounts',
                                                                    '[]'::jsonb, 'tax_rates', NULL) || w.line ORDER BY w.place)
                                  FROM jsonb_array_elements(p_spec -> 'pending') WITH ORDINALITY w (line, place)), '[]');

    FOR item IN SELECT x.*, x.end_s - x.start_s AS whole_s, greatest(x.end_s - now_s, 0) AS left_s,
                       x.new_end_s - x.new_start_s AS new_whole_s, greatest(x.new_end_s - now_s, 0) AS new_left_s
                  FROM preview_items(p_spec) x ORDER BY x.place LOOP
        -- Usage so far.
        IF item.was_metered AND NOT (p_spec ->> 'trialing')::boolean
           AND (reset OR item.end_s <= due_s OR (changes_now AND item.is_replaced)) THEN
            until_s := CASE WHEN reset OR changes_now AND item.is_replaced THEN now_s ELSE item.end_s END;
            usage := '[]';
            IF NOT (changes_now AND item.is_replaced) OR flexible AND item.usage > 0 THEN
                usage := preview_price(item.id, item.old_price, item.usage, item.start_s, until_s, item.discounts, item.tax_rates);
            END IF;
            lines := lines || usage;
        END IF;
        IF changes_now AND item.is_metered AND item.is_replaced AND NOT reset AND item.new_end_s <= due_s THEN
            lines := lines || preview_price(item.id, item.price, 0, now_s, due_s, item.discounts, item.tax_rates);
        END IF;
        -- Credit and charge for the rest of the period.
        IF changes_now AND (item.is_replaced OR reset) AND NOT coalesce(item.was_metered, true)
           AND price_amount(item.old_price, item.old_quantity) IS DISTINCT FROM 0 THEN
            lines := lines || preview_line('proration', item.id, item.old_price, item.old_quantity,
                -proration_amount(item.old_price, item.old_quantity, item.in_force, item.left_s, item.whole_s),
                now_s, item.end_s, item.tax_rates);
        END IF;
        IF changes_now AND item.is_replaced AND NOT reset AND NOT coalesce(item.is_metered, true)
           AND price_amount(item.price, item.quantity) IS DISTINCT FROM 0 THEN
            lines := lines || preview_line('proration', item.id, item.price, item.quantity,
                proration_amount(item.price, item.quantity, item.in_force, item.new_left_s, item.new_whole_s),
                now_s, item.new_end_s, item.tax_rates);
        END IF;
        -- Fees ahead.
        IF NOT coalesce(item.is_metered, true) AND NOT (ends AND NOT reset) AND (reset OR item.new_end_s <= due_s) THEN
            until_s := extract(epoch FROM next_period(
                to_timestamp(CASE WHEN reset THEN now_s WHEN (p_spec ->> 'trialing')::boolean THEN due_s
                                  ELSE (p_spec ->> 'anchor')::numeric END),
                (item.price).billing_interval, (item.price).interval_count,
                to_timestamp(CASE WHEN reset THEN now_s ELSE item.new_end_s END)));
            lines := lines || preview_price(item.id, item.price, item.quantity, CASE WHEN reset THEN now_s ELSE item.new_end_s END,
                                            until_s, item.discounts, item.tax_rates);
        END IF;
    END LOOP;
    RETURN jsonb_build_object('invoice_at', CASE WHEN reset THEN now_s ELSE due_s END, 'reset', reset, 'lines', lines);
END $$;

COMMENT ON FUNCTION preview_lines IS 'The lines of a subscription''s next invoice, before discounts and tax.';
