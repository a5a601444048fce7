-- Lets objects that were read from Stripe become ours. Limits that follow reach the quota cache by webhookd.
-- $1 jsonb: observations
WITH told AS MATERIALIZED (
    SELECT what, id, tenant FROM apply_stripe_events($1::jsonb)
), noted AS (
    INSERT INTO limit_changes (tenant, number)
    SELECT tenant, nextval('limit_change') FROM (SELECT DISTINCT tenant FROM told WHERE what = 'limits' ORDER BY tenant) l
        ON CONFLICT (tenant) DO UPDATE SET number = excluded.number
)
SELECT what, id, tenant FROM told
