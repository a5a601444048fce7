-- What a subscription's items are to be, for preview_lines: a plan, a number of seats, or both, at once or at the period's
-- end; without them what its schedule has next. NULL: nothing changes. {"error": …} where it cannot be.
--
-- p_change: {plan, seats, at, interval}; interval: month or year, that of now if it says nothing; at: now or period_end,
-- as fitting_time says if it says nothing. Fees that belong to no plan were put there by somebody else, and stay.
CREATE OR REPLACE FUNCTION preview_wanted(p_subscription subscriptions, p_spec jsonb, p_change jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    s subscriptions := p_subscription;
    unit text := coalesce(p_change ->> 'interval', s.billing_interval);
    wanted jsonb;
BEGIN
    IF p_change ->> 'plan' IS NULL AND p_change ->> 'seats' IS NULL THEN
        SELECT jsonb_agg(jsonb_build_object('price', coalesce(to_jsonb(p), jsonb_build_object('stripe_price_id', i ->> 'price')),
                                            'quantity', i -> 'quantity'))
          INTO wanted
          FROM stripe_schedules c
         CROSS JOIN LATERAL jsonb_array_elements(c.phases) f
         CROSS JOIN LATERAL jsonb_array_elements(f -> 'items') i
          LEFT JOIN stripe_prices p ON p.stripe_price_id = i ->> 'price'
         WHERE c.stripe_schedule_id = s.schedule AND c.status = 'active'
           AND abs((f ->> 'start')::numeric - (p_spec ->> 'due')::numeric) < 1;
        RETURN CASE WHEN wanted IS NOT NULL THEN
            jsonb_build_object('at', 'period_end', 'scheduled', true, 'items', match_items(p_spec -> 'items', wanted)) END;
    END IF;
    IF p_change ->> 'plan' IS NOT NULL THEN
        SELECT jsonb_agg(jsonb_build_object('price', to_jsonb(p), 'quantity',
                         CASE WHEN p.usage_type IS DISTINCT FROM 'metered' THEN (p_change ->> 'seats')::numeric END))
          INTO wanted
          FROM plan_prices(p_change ->> 'plan', s.currency, unit,
                           CASE WHEN p_change ->> 'interval' IS NULL THEN s.interval_count ELSE 1 END) p;
        IF wanted IS NULL THEN
            RETURN jsonb_build_object('error', format('no price of the plan %s in %s a %s is known', p_change ->> 'plan',
                                                      s.currency, unit));
        END IF;
        wanted := wanted || coalesce((
            SELECT jsonb_agg(jsonb_build_object('price', i.item -> 'price', 'quantity', i.item -> 'quantity') ORDER BY i.place)
              FROM jsonb_array_elements(p_spec -> 'items') WITH ORDINALITY i (item, place)
             WHERE i.item #>> '{price,usage_type}' IS DISTINCT FROM 'metered' AND i.item #>> '{price,plan}' IS NULL
               AND EXISTS (SELECT FROM jsonb_array_elements(p_spec -> 'items') o
                            WHERE o #>> '{price,usage_type}' IS DISTINCT FROM 'metered' AND o ->> 'id' <> i.item ->> 'id')), '[]');
    ELSE
        SELECT jsonb_agg(jsonb_build_object('price', i.item -> 'price', 'quantity',
                         CASE WHEN i.item #>> '{price,usage_type}' = 'metered' THEN NULL
                              WHEN i.item #>> '{price,plan}' IS NOT NULL OR i.fees = 1 THEN p_change -> 'seats'
                              ELSE i.item -> 'quantity' END))
          INTO wanted
          FROM (SELECT x AS item, count(*) FILTER (WHERE x #>> '{price,usage_type}' IS DISTINCT FROM 'metered') OVER () AS fees
                  FROM jsonb_array_elements(p_spec -> 'items') x) i;
    END IF;
    wanted := match_items(p_spec -> 'items', wanted);
    RETURN jsonb_build_object('at', coalesce(p_change ->> 'at', fitting_time(p_spec, wanted)), 'items', wanted);
END $$;

COMMENT ON FUNCTION preview_wanted IS 'What a subscription''s items are to be after a change.';
