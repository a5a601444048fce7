-- The ledger was compared with what Redis knows: sinks go on, or hold until `meterctl restore accept`. Returns from when on
-- they hold what is not compared with Stripe, where nobody can tell.
-- $1 text: ledger_life() when it was read
-- $2 text: NULL: it is intact; behind, unknown; unsure
-- $3 int8: the greatest number of a pick that Redis knows
WITH settled AS (
    UPDATE ledger_identity
       SET life = $1, picks = greatest(picks, $3::int8),
           suspicion = CASE WHEN $2::text IN ('behind', 'unknown') THEN $2::text ELSE suspicion END
     WHERE ledger_life() = $1 AND life IS DISTINCT FROM $1
    RETURNING alive_at)
SELECT CASE WHEN $2::text IN ('behind', 'unknown') THEN hold_sinks() END,
       CASE WHEN $2::text = 'unsure'
            THEN to_char(suspect_ledger(alive_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') END AS held_from
  FROM settled
