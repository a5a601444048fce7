-- A comparison is done.
-- $1 int8: run_id
-- $2 int8: places compared, $3 int8: of those with a drift, $4 int8: places that Stripe did not tell
UPDATE reconcile_runs
   SET finished_at = now(), compared = $2, drifted = $3, unread = $4
 WHERE run_id = $1
