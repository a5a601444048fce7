-- Who this ledger is.
select ledger_id, takeovers from ledger_identity
