-- All that a change at Stripe is planned by, as JSON: the tenant's customer and subscription as they are stored, what was
-- begun at Stripe and has no outcome yet, what this request has done there already, and the plan that is asked for.
-- $1 text: tenant; $2 text: digest of the request; $3 text: plan, or NULL; $4 boolean: live objects of Stripe's, not test ones
SELECT jsonb_build_object(
           'now_s', extract(epoch FROM clock_timestamp())::bigint,
           'customer', (SELECT jsonb_build_object('id', b.stripe_customer_id, 'email', b.email,
                                                     'contested', b.contested_since IS NOT NULL)
                          FROM billing_customers b WHERE b.tenant = $1 AND b.deleted_at IS NULL),
           'made_customer', (SELECT o.object_id FROM stripe_operations o
                              WHERE o.tenant = $1 AND o.operation = 'create_customer' AND o.state = 'done'
                                AND NOT EXISTS (SELECT FROM stripe_customers c
                                                 WHERE c.stripe_customer_id = o.object_id AND c.deleted_at IS NOT NULL)
                              ORDER BY o.begun_at DESC LIMIT 1),
           'had_subscription', is_subscriber($1),
           'had_checkout', EXISTS (SELECT FROM stripe_operations o
                                    WHERE o.tenant = $1 AND o.operation = 'create_checkout' AND o.state = 'done'
                                      AND o.begun_at > clock_timestamp() - interval '25 hours'),
           'tax_rate', (SELECT x.stripe_id FROM stripe_setup x JOIN catalog_tax ON true
                         WHERE x.kind = 'tax_rate' AND x.livemode = $4::boolean LIMIT 1),
           'portal', (SELECT x.stripe_id FROM stripe_setup x
                       WHERE x.kind = 'portal' AND x.livemode = $4::boolean LIMIT 1),
           'open', coalesce((SELECT jsonb_agg(jsonb_build_object(
                                        'operation', o.operation, 'key', o.idempotency_key, 'path', o.path, 'body', o.body,
                                        'begun_s', extract(epoch FROM o.begun_at)::bigint,
                                        'age_s', extract(epoch FROM clock_timestamp() - o.begun_at)::bigint,
                                        'customer', o.stripe_customer_id)
                                    ORDER BY o.begun_at)
                               FROM stripe_operations o WHERE o.tenant = $1 AND o.state = 'open'), '[]'),
           'mine', coalesce((SELECT jsonb_agg(jsonb_build_object(
                                        'operation', o.operation, 'state', o.state, 'object', o.object_id)
                                    ORDER BY o.begun_at DESC)
                               FROM stripe_operations o
                              WHERE o.tenant = $1 AND o.request_digest = $2), '[]'),
           'known', coalesce((SELECT jsonb_object_agg(p.stripe_price_id, p.plan)
                                FROM subscription_items i
                                JOIN stripe_prices p USING (stripe_price_id)
                               WHERE i.tenant = $1 AND p.plan IS NOT NULL), '{}'),
           'plan', (SELECT jsonb_build_object(
                               'plan', p.plan, 'lookup_key', p.stripe_lookup_key, 'interval', p.billing_interval,
                               'custom', p.custom, 'trial_days', p.trial_days,
                               'usage', coalesce((SELECT jsonb_agg(jsonb_build_object(
                                                             'metric', l.metric,
                                                             'is_billed', coalesce(l.overage_unit_price, 0) > 0)
                                                         ORDER BY l.metric)
                                                    FROM plan_limits l JOIN metrics m USING (metric)
                                                   WHERE l.plan = p.plan AND m.transport <> 'none'), '[]'))
                      FROM plans p WHERE p.plan = $3 AND p.retired_at IS NULL))::text
