-- Retire metrics that the catalog no longer has: their events are refused, their usage stays.
-- $1 json: rows of metrics
UPDATE metrics
   SET retired_at = now()
 WHERE retired_at IS NULL
   AND metric NOT IN (SELECT metric FROM json_to_recordset($1::json) AS x (metric text))
RETURNING metric, 'retired'
