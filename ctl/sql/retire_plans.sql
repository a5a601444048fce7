-- Retire plans that the catalog no longer has. Their limits stay for who is still subscribed.
-- $1 json: rows of plans
update plans
   set retired_at = now()
 where retired_at is null
   and plan not in (select plan from json_to_recordset($1::json) as x (plan text))
returning plan, 'retired'
