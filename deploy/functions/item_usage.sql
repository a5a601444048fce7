-- Usage that the next invoice bills by an item, as the whole number that Stripe bills: of the item's period, and if its
-- price was replaced in that period, without what was sent for the time before. NULL: the item meters nothing of ours.
CREATE OR REPLACE FUNCTION item_usage(p_item subscription_items, p_start timestamptz) RETURNS numeric
LANGUAGE plpgsql STABLE AS $$
DECLARE
    replaced_at timestamptz;
    used numeric;
BEGIN
    IF p_item.metric IS NULL OR p_item.usage_type IS DISTINCT FROM 'metered' THEN
        RETURN NULL;
    END IF;
    used := floor(get_current_usage(p_item.tenant, p_item.metric, (billing_period(p_item.tenant, p_start)).period_start));
    SELECT min(s.valid_from) INTO replaced_at
      FROM subscription_states s
     WHERE s.stripe_subscription_id = p_item.stripe_subscription_id
       AND s.valid_from > coalesce((
           SELECT max(x.valid_from) FROM subscription_states x
            WHERE x.stripe_subscription_id = p_item.stripe_subscription_id
              AND NOT x.items @> jsonb_build_array(jsonb_build_object('id', p_item.stripe_subscription_item_id,
                                                                      'price', p_item.stripe_price_id))), 'infinity');
    IF replaced_at > p_start THEN
        used := used - coalesce((
            SELECT sum(u.quantity) FROM usage_submissions u JOIN metrics m USING (metric)
             WHERE u.tenant = p_item.tenant AND u.metric = p_item.metric AND u.usage_at >= minute_of(p_start)
               AND u.usage_at < replaced_at AND u.state <> 'void' AND NOT u.carried
               AND m.aggregation IN ('sum', 'count')), 0);
    END IF;
    RETURN used;
END $$;

COMMENT ON FUNCTION item_usage IS 'Usage that the next invoice bills by an item.';
