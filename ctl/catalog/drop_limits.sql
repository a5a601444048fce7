-- Drop limits that the catalog's plans no longer have.
-- $1 json: rows of plan_limits
-- $2 json: rows of plans
DELETE FROM plan_limits l
 WHERE l.plan IN (SELECT plan FROM json_to_recordset($2::json) AS x (plan text))
   AND (l.plan, l.metric) NOT IN (SELECT plan, metric
                                    FROM json_to_recordset($1::json) AS x (plan text, metric text))
RETURNING l.plan || '/' || l.metric, 'dropped'
