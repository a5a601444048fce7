-- Change the number of shards, and note when. No row: the number was not the expected one.
-- $1 int8: the new number; $2 int8: the old one
WITH changed AS (
    UPDATE ledger_state SET value = $1 WHERE name = 'stream_shards' AND value = $2 RETURNING 1
), noted AS (
    UPDATE ledger_state
       SET value = greatest((extract(epoch FROM clock_timestamp()) * 1000)::bigint, value + 1)
     WHERE name = 'resharded_ms' AND EXISTS (SELECT FROM changed)
)
SELECT FROM changed
