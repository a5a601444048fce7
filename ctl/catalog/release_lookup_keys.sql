-- Free the lookup keys that plans give up, so that another plan may take them in the same catalog.
-- $1 json: rows of plans
UPDATE plans
   SET stripe_lookup_key = NULL
 WHERE stripe_lookup_key IS NOT NULL
   AND EXISTS (SELECT FROM json_to_recordset($1::json) AS x (plan text, stripe_lookup_key text)
                WHERE x.stripe_lookup_key = plans.stripe_lookup_key AND x.plan <> plans.plan)
RETURNING plan, 'gave up its stripe_lookup_key'
