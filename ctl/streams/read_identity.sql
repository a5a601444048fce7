-- Who this ledger is.
SELECT ledger_id, takeovers FROM ledger_identity
