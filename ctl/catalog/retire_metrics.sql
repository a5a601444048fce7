-- Retire metrics that the catalog no longer has: new events are rejected, usage stays.
-- $1 json: rows of metrics
UPDATE metrics
   SET retired_at = now()
 WHERE retired_at IS NULL
   AND metric NOT IN (SELECT metric FROM json_to_recordset($1::json) AS x (metric text))
RETURNING metric, 'retired'
