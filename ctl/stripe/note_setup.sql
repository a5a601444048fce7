-- Note what the catalog has at Stripe; what it no longer names is forgotten here, and stays there.
-- $1 json: rows of stripe_setup
WITH wanted AS (
    SELECT * FROM json_to_recordset($1::json) AS x (
        kind text, name text, stripe_id text, plan text, metric text, yearly boolean, livemode boolean)
), gone AS (
    DELETE FROM stripe_setup s WHERE (s.kind, s.name) NOT IN (SELECT kind, name FROM wanted)
)
INSERT INTO stripe_setup AS s (kind, name, stripe_id, plan, metric, yearly, livemode)
SELECT kind, name, stripe_id, plan, metric, coalesce(yearly, false), livemode FROM wanted
    ON CONFLICT (kind, name) DO UPDATE
   SET stripe_id = excluded.stripe_id, plan = excluded.plan, metric = excluded.metric, yearly = excluded.yearly,
       livemode = excluded.livemode, found_at = now()
 WHERE (s.stripe_id, s.plan, s.metric, s.yearly, s.livemode)
       IS DISTINCT FROM (excluded.stripe_id, excluded.plan, excluded.metric, excluded.yearly, excluded.livemode)
