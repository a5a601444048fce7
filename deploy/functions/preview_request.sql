-- The same question for Stripe: parameters of POST /v1/invoices/create_preview, as [name, value] in their order; NULL where
-- it cannot be asked. What changes at the period's end is asked for as a change of the fees without prorations: usage of
-- the period is billed at the old prices, so those stay. What begins a new cycle would do so at once, so that it cannot be asked
-- for at the period's end. A schedule is Stripe's own already. Pure.
CREATE OR REPLACE FUNCTION preview_request(p_spec jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    change jsonb := p_spec -> 'change';
    at_end boolean := coalesce(change ->> 'at' = 'period_end', false);
    item record;
    name text;
    n integer := 0;
    request jsonb := jsonb_build_array(jsonb_build_array('subscription', p_spec ->> 'subscription'));
BEGIN
    IF jsonb_typeof(change) <> 'object' OR (change ->> 'scheduled')::boolean THEN
        RETURN request;
    END IF;
    IF at_end AND begins_anew(p_spec) THEN
        RETURN NULL;
    END IF;
    FOR item IN SELECT x.*, (x.price).stripe_price_id AS new_id FROM preview_items(p_spec) x ORDER BY x.place LOOP
        CONTINUE WHEN at_end AND coalesce(item.was_metered, item.is_metered);
        name := format('subscription_details[items][%s]', n);
        n := n + 1;
        IF item.id IS NOT NULL THEN
            request := request || jsonb_build_array(jsonb_build_array(name || '[id]', item.id));
        END IF;
        IF item.new_id IS NULL THEN
            request := request || jsonb_build_array(jsonb_build_array(name || '[deleted]', 'true'));
            CONTINUE;
        END IF;
        request := request || jsonb_build_array(jsonb_build_array(name || '[price]', item.new_id));
        IF NOT item.is_metered THEN
            request := request || jsonb_build_array(jsonb_build_array(name || '[quantity]', item.quantity::text));
        END IF;
    END LOOP;
    RETURN request || CASE WHEN at_end THEN '[["subscription_details[proration_behavior]", "none"]]'
                      ELSE jsonb_build_array(
                          jsonb_build_array('subscription_details[proration_behavior]', 'create_prorations'),
                          jsonb_build_array('subscription_details[proration_date]', p_spec ->> 'at')) END;
END $$;

COMMENT ON FUNCTION preview_request IS 'A preview, as parameters of Stripe''s create_preview.';
