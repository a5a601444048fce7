-- Retire metrics that the catalog no longer has: their events are refused, their usage stays.
-- $1 json: rows of metrics
update metrics
   set retired_at = now()
 where retired_at is null
   and metric not in (select metric from json_to_recordset($1::json) as x (metric text))
returning metric, 'retired'
