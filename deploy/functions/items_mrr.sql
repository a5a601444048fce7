-- What items earn a month, in minor units of their currency, exactly. NULL: a price or its tiers are not known.
--
-- Licensed items count, by their quantities, tiers and intervals (a year has 12 months, 52 weeks or 365 days), less what
-- coupons take off for ever. No tax, no metered usage, no coupon that ends. An amount that a coupon takes off is taken off
-- each invoice, so as often as the item that is invoiced most often.
CREATE OR REPLACE FUNCTION items_mrr(p_items jsonb, p_discounts jsonb, p_currency text) RETURNS fraction
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    item record;
    off record;
    amount numeric;
    times numeric := 0;      -- a year, over count: how often the item is invoiced that is so most often
    count numeric := 1;
    its_currency text;
    parts fraction[] := '{}';
    total fraction;
BEGIN
    FOR item IN
        SELECT p AS price, p.usage_type, p.currency, x.quantity, x.discounts, p.interval_count::numeric AS count,
               CASE p.billing_interval WHEN 'year' THEN 1 WHEN 'month' THEN 12 WHEN 'week' THEN 52 WHEN 'day' THEN 365 END
                   AS times
          FROM jsonb_to_recordset(p_items) AS x (id text, price text, quantity numeric, discounts jsonb)
          LEFT JOIN stripe_prices p ON p.stripe_price_id = x.price
         ORDER BY x.id
    LOOP
        CONTINUE WHEN item.usage_type = 'metered';
        amount := price_amount(item.price, coalesce(item.quantity, 1));
        IF amount IS NULL OR item.times IS NULL OR item.currency IS DISTINCT FROM coalesce(p_currency, item.currency) THEN
            RETURN NULL;
        END IF;
        FOR off IN SELECT * FROM forever_discounts(item.discounts, item.currency) ORDER BY place LOOP
            amount := greatest(amount * (100 - off.percent_off) * 0.01 - off.amount_off, 0);
        END LOOP;
        parts := parts || ROW(amount * item.times, 12 * item.count)::fraction;
        IF item.times * count > times * item.count THEN
            times := item.times;
            count := item.count;
            its_currency := item.currency;
        END IF;
    END LOOP;
    total := fraction_sum(parts);
    FOR off IN SELECT * FROM forever_discounts(p_discounts, its_currency) ORDER BY place LOOP
        total.numerator := total.numerator * (100 - off.percent_off) * 0.01;
        total := fraction_sum(ARRAY[total, ROW(-off.amount_off * times, 12 * count)::fraction]);
        total.numerator := greatest(total.numerator, 0);
    END LOOP;
    RETURN total;
END $$;

COMMENT ON FUNCTION items_mrr IS 'What items with these discounts earn a month, in minor units, exactly.';
