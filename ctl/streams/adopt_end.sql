-- The stream's mark names this ledger: end the epoch that it had before, if any, with what the other ledger counted
-- meanwhile as lost, and open the one that goes on from the other's position. Sinks hold: what the other ledger sent
-- is not known here.
-- $1 text stream; $2 text owner; $3 int4 epoch; $4 text last_id; $5 uuid token of the new epoch; $6 int8 entries that
-- are lost to the ended one; $7 text where the new one begins to read; $8 numeric its base, entries-added
WITH opened AS MATERIALIZED (
    SELECT open_epoch($1, $2, $3, $4, 'adopted', $6, $7, $8, 0, '0-0', $5) AS done
)
SELECT hold_sinks() FROM opened WHERE done
