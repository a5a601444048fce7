-- Prorations of the current period that follow from what a subscription was, as pending lines of preview_spec: where
-- Stripe told of no invoice item since the period began. Changes that were invoiced at once are left out. Stripe can be
-- asked for a change without proration; nothing stored tells of that.
CREATE OR REPLACE FUNCTION derived_prorations(p_subscription subscriptions, p_spec jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    s subscriptions := p_subscription;
    step record;
    made jsonb;
    lines jsonb := '[]';
BEGIN
    IF EXISTS (SELECT FROM invoice_items x WHERE x.stripe_subscription_id = s.stripe_subscription_id
                  AND x.item_at >= s.current_period_start) THEN
        RETURN lines;
    END IF;
    FOR step IN
        SELECT x.* FROM (
            SELECT y.valid_from, y.status, y.items, lag(y.items) OVER w AS old_items, lag(y.status) OVER w AS old_status,
                   lag(y.discounts) OVER w AS old_discounts
              FROM subscription_states y WHERE y.stripe_subscription_id = s.stripe_subscription_id
            WINDOW w AS (ORDER BY y.valid_from)) x
         WHERE x.valid_from > s.current_period_start AND x.valid_from < s.current_period_end
           AND x.old_status IN ('active', 'past_due') AND x.status IN ('active', 'past_due')
           AND x.items IS DISTINCT FROM x.old_items
           AND NOT EXISTS (SELECT FROM invoices n
                            WHERE n.stripe_subscription_id = s.stripe_subscription_id AND n.billing_reason = 'subscription_update'
                              AND n.created_at BETWEEN x.valid_from - interval '5 s' AND x.valid_from + interval '60 s')
         ORDER BY x.valid_from
    LOOP
        made := preview_lines(p_spec || jsonb_build_object(
            'at', extract(epoch FROM step.valid_from), 'pending', '[]'::jsonb,
            'discounts', discount_terms(step.old_discounts, s.stripe_subscription_id),
            'items', state_items(step.old_items, s.stripe_subscription_id, p_spec),
            'change', jsonb_build_object('at', 'now', 'items', state_items(step.items, s.stripe_subscription_id, p_spec))));
        CONTINUE WHEN (made ->> 'reset')::boolean;
        lines := lines || coalesce((SELECT jsonb_agg(l || '{"kind": "pending", "derived": true}')
                                      FROM jsonb_array_elements(made -> 'lines') l
                                     WHERE (l ->> 'proration')::boolean), '[]');
    END LOOP;
    RETURN lines;
END $$;

COMMENT ON FUNCTION derived_prorations IS 'Prorations that follow from what a subscription was in this period.';
