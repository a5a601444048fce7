-- How many restores were accepted, which is part of the identifiers of claims.
SELECT value FROM ledger_state WHERE name = 'claim_era'
