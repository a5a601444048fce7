-- Which addresses took a message, and which could not. One that did is sound, whatever else it did meanwhile.
-- Rows are locked in order, since another notifier may settle the same addresses.
-- $1 text: channel
-- $2 text[] destination, $3 bool[] it took nothing, $4 int8[] how often before, in a row, $5 int8[] wait, ms
WITH outcome AS (
    SELECT o.destination, bool_and(o.failed) AS failed, max(o.failures) + 1 AS failures, max(o.wait_ms) AS wait_ms
      FROM unnest($2::text[], $3::bool[], $4::int8[], $5::int8[]) AS o (destination, failed, failures, wait_ms)
     GROUP BY o.destination),
locked AS MATERIALIZED (
    SELECT f.destination FROM failing_addresses f
     WHERE f.channel = $1 AND f.destination IN (SELECT destination FROM outcome)
     ORDER BY f.destination
       FOR UPDATE),
sound AS (
    DELETE FROM failing_addresses f USING outcome o
     WHERE f.channel = $1 AND f.destination = o.destination AND NOT o.failed
       AND f.destination IN (SELECT destination FROM locked))
INSERT INTO failing_addresses AS f (channel, destination, failures, retry_at)
SELECT $1, destination, failures, now() + wait_ms * interval '1 ms'
  FROM outcome
 WHERE failed AND (SELECT count(*) FROM locked) >= 0   -- after the locks
 ORDER BY destination
ON CONFLICT (channel, destination) DO UPDATE
   SET failures = greatest(f.failures, excluded.failures), retry_at = greatest(f.retry_at, excluded.retry_at)
