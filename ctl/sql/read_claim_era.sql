-- How many restores were accepted: part of the identifiers of claims.
select value from ledger_state where name = 'claim_era'
