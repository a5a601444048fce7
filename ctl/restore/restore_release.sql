-- The ledger knows all that Stripe holds of this tenant: sinks go on with it. What the life that was lost sent is found: of
-- those in doubt since Stripe knew it, their own minutes tell from now on.
-- $1 text: tenant
WITH told AS (
    UPDATE usage_submissions SET known_before = false WHERE tenant = $1 AND state = 'in_doubt' AND known_before
)
UPDATE restore_checks SET checked_at = now() WHERE tenant = $1
