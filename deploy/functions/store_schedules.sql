-- Makes schedules of subscriptions what their newest observations say. Other objects are left out.
CREATE OR REPLACE FUNCTION store_schedules(p_objects text[]) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    INSERT INTO stripe_schedules AS s (stripe_schedule_id, tenant, stripe_customer_id, stripe_subscription_id, status, phases)
    SELECT o.object_id, c.tenant, o.customer_id, o.facts ->> 'subscription', o.status, coalesce(o.facts -> 'phases', '[]')
      FROM unnest(p_objects) x (id)
     CROSS JOIN LATERAL (SELECT y.* FROM stripe_observations y
                          WHERE y.object_id = x.id AND y.kind = 'schedule' AND y.is_last
                          ORDER BY y.created_at DESC, y.event_id LIMIT 1) o
      JOIN stripe_customers c ON c.stripe_customer_id = o.customer_id AND c.tenant IS NOT NULL
    ON CONFLICT (stripe_schedule_id) DO UPDATE
       SET tenant = excluded.tenant, stripe_customer_id = excluded.stripe_customer_id,
           stripe_subscription_id = excluded.stripe_subscription_id, status = excluded.status, phases = excluded.phases,
           updated_at = now();
END $$;

COMMENT ON FUNCTION store_schedules IS 'Makes schedules of subscriptions what their newest observations say.';
