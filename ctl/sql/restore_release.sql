-- The ledger knows all that Stripe holds of this tenant: sinks go on with it. What the life that was lost sent is found: of
-- those in doubt since Stripe knew it, their own minutes tell from now on.
-- $1 text: tenant
with told as (
    update usage_submissions set known_before = false where tenant = $1 and state = 'in_doubt' and known_before
)
update restore_checks set checked_at = now() where tenant = $1
