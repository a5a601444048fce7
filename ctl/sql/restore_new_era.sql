-- Identifiers of claims made from now on are others than those of the life that was lost. What that life sent is found: of
-- those in doubt since Stripe knew it, their own minutes tell from now on.
with told as (
    update usage_submissions set known_before = false where state = 'in_doubt' and known_before
)
update ledger_state set value = value + 1 where name = 'claim_era'
