-- What a tenant has used and Stripe does not have yet, by metric and why: nothing once the sink has settled it.
-- $1 text: tenant
SELECT metric, reason, quantity::text FROM unsettled_usage($1)
