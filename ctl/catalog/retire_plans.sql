-- Retire plans that the catalog no longer has. Their limits stay for tenants who are still subscribed.
-- $1 json: rows of plans
UPDATE plans
   SET retired_at = now()
 WHERE retired_at IS NULL
   AND plan NOT IN (SELECT plan FROM json_to_recordset($1::json) AS x (plan text))
RETURNING plan, 'retired'
