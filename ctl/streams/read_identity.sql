-- Which ledger this is.
SELECT ledger_id, takeovers FROM ledger_identity
