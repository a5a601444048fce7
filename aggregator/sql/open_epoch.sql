-- End the epoch with its balance and open the next one. False: the position was not ours. Sinks hold if told to.
-- $1 text stream; $2 text owner; $3 int4 the epoch to end; $4 text its last_id; $5 text reason; $6 int8 entries of
-- it that are gone; $7 text where the new one begins to read; $8 numeric its base, entries-added; $9 int8 entries of
-- it that are gone already; $10 text entries up to which may be repeats; $11 uuid token, NULL: a new one; $12 bool hold
WITH opened AS MATERIALIZED (
    SELECT open_epoch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS done
)
SELECT CASE WHEN $12 THEN hold_sinks() END FROM opened WHERE done
