-- Where to subtract so many units of a period. Stripe bills no meter below zero, so it must be a customer and meter
-- that has units of this period. Today's are preferred if they have enough, then those that the tenant or metric had
-- before. If none has enough, it is the one that has most. NULL: none.
--
-- What may still be sent counts, but not what Stripe refused or may not have taken. Usage records of a subscription
-- item and deleted customers cannot take anything back.
CREATE OR REPLACE FUNCTION subtract_place(p_tenant text, p_metric text, p_start timestamptz, p_end timestamptz, p_customer text,
                                          p_event_name text, p_units numeric) RETURNS meter_place
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT row(u.customer, u.event_name, u.units)::meter_place
      FROM (SELECT s.stripe_customer_id AS customer, s.event_name,
                   coalesce(sum(s.quantity) FILTER (WHERE s.state IN ('pending', 'sending', 'sent')), 0)
                   + coalesce(sum(s.quantity) FILTER (WHERE s.state = 'in_doubt' AND s.quantity < 0), 0) AS units
              FROM usage_submissions s
             WHERE s.tenant = p_tenant AND s.metric = p_metric AND s.stripe_subscription_item_id IS NULL
               AND s.usage_at >= billed_since(p_tenant, p_start) AND s.usage_at < billed_since(p_tenant, p_end)
             GROUP BY s.stripe_customer_id, s.event_name) u
     WHERE u.units > 0
       AND NOT EXISTS (SELECT FROM billing_customers b
                        WHERE b.stripe_customer_id = u.customer AND b.deleted_at IS NOT NULL)
       AND NOT EXISTS (SELECT FROM billing_history h
                        WHERE h.tenant = p_tenant AND h.detail ->> 'customer' = u.customer
                          AND h.detail -> 'deleted' = 'true')
     ORDER BY u.units >= p_units DESC, (u.customer, u.event_name) = (p_customer, p_event_name) DESC, u.units DESC,
              u.customer, u.event_name
     LIMIT 1
$$;

COMMENT ON FUNCTION subtract_place IS
    'The customer and meter from which units of a period can be subtracted; NULL: none.';
REVOKE ALL ON FUNCTION subtract_place FROM PUBLIC;
GRANT EXECUTE ON FUNCTION subtract_place TO meterline_sink;
