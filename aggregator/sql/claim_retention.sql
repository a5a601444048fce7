-- Retention is this process' to apply today: a row. Or somebody did, less than a day ago.
UPDATE ledger_state SET value = (extract(epoch FROM now()) * 1000)::int8
 WHERE name = 'retention_ms' AND value <= (extract(epoch FROM now()) * 1000)::int8 - 86400000
RETURNING value
