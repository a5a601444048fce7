-- How many tenants have several subscriptions that stand, and the first of them.
SELECT count(*)::int8, coalesce((array_agg(tenant ORDER BY since DESC))[1], '') FROM doubled_subscriptions
