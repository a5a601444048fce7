-- Set at how many per cent of a limit tenants are told. One row for each that is new or gone.
-- $1 json: rows of alert_thresholds
WITH wanted AS (
    SELECT percent FROM json_to_recordset($1::json) AS x (percent integer)
), gone AS (
    DELETE FROM alert_thresholds a WHERE a.percent NOT IN (SELECT percent FROM wanted) RETURNING a.percent
), added AS (
    INSERT INTO alert_thresholds (percent) SELECT percent FROM wanted ON CONFLICT DO NOTHING RETURNING percent
)
SELECT percent || ' %', 'added' FROM added
UNION ALL
SELECT percent || ' %', 'removed' FROM gone
 ORDER BY 2, 1
