-- Drop limits that the catalog's plans no longer have.
-- $1 json: rows of plan_limits
-- $2 json: rows of plans
delete from plan_limits l
 where l.plan in (select plan from json_to_recordset($2::json) as x (plan text))
   and (l.plan, l.metric) not in (select plan, metric
                                    from json_to_recordset($1::json) as x (plan text, metric text))
returning l.plan || '/' || l.metric, 'dropped'
