-- Let sinks go on with this tenant: the ledger knows all that Stripe holds of it. Submissions that were in doubt
-- because Stripe knew them before are judged by their own minutes from now on.
-- $1 text: tenant
WITH told AS (
    UPDATE usage_submissions SET known_before = false WHERE tenant = $1 AND state = 'in_doubt' AND known_before
)
UPDATE restore_checks SET checked_at = now() WHERE tenant = $1
