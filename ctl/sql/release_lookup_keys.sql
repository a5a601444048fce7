-- Free the lookup keys that plans give up, so that another plan may take them in the same catalog.
-- $1 json: rows of plans
update plans
   set stripe_lookup_key = null
 where stripe_lookup_key is not null
   and exists (select from json_to_recordset($1::json) as x (plan text, stripe_lookup_key text)
                where x.stripe_lookup_key = plans.stripe_lookup_key and x.plan <> plans.plan)
returning plan, 'gave up its stripe_lookup_key'
