-- Works a batch of events, ends them, and returns what became of them.
-- $1 jsonb: observations
SELECT what, id, tenant, state, why FROM apply_stripe_events($1::jsonb)
