-- Identifiers of claims made from now on are others than those of the life that was lost.
UPDATE ledger_state SET value = value + 1 WHERE name = 'claim_era'
