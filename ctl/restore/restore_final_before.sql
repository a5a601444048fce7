-- The last claim from before the server was started in which the loss was found. An invoice that was final by then was
-- final in the backup too, so nothing was sent for its period since. NULL: not known. Claims ask for it, too.
WITH known AS (
    SELECT max(s.created_at) AS at
      FROM usage_submissions s
     WHERE s.created_at < to_timestamp((SELECT value FROM ledger_state WHERE name = 'hold_server_ms' AND value > 0) / 1000)
), noted AS (
    UPDATE ledger_restores SET final_before = known.at FROM known
)
SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS final_before FROM known
