-- Add and change what plans allow and charge. One row for each that is new or different.
-- $1 json: rows of plan_limits
WITH wanted AS (
    SELECT * FROM json_to_recordset($1::json) AS x (
        plan text, metric text, included numeric(38,9), cap text, limit_window text, overage_unit_price numeric(24,12),
        currency text)
), before AS (
    SELECT * FROM plan_limits
), written AS (
    INSERT INTO plan_limits AS l (plan, metric, included, cap, limit_window, overage_unit_price, currency)
    SELECT plan, metric, included, cap, limit_window, overage_unit_price, currency
      FROM wanted
        ON CONFLICT (plan, metric) DO UPDATE
       SET included = excluded.included, cap = excluded.cap, limit_window = excluded.limit_window,
           overage_unit_price = excluded.overage_unit_price, currency = excluded.currency
     WHERE (l.included, l.cap, l.limit_window, l.overage_unit_price, l.currency)
           IS DISTINCT FROM
           (excluded.included, excluded.cap, excluded.limit_window, excluded.overage_unit_price, excluded.currency)
    RETURNING l.*
)
SELECT w.plan || '/' || w.metric,
       CASE WHEN b.plan IS NULL THEN 'added' ELSE 'changed: ' || concat_ws(', ',
           CASE WHEN w.included IS DISTINCT FROM b.included THEN
               format('included %s to %s', coalesce(trim_scale(b.included)::text, 'unlimited'),
                      coalesce(trim_scale(w.included)::text, 'unlimited')) END,
           CASE WHEN w.cap <> b.cap THEN format('cap %s to %s', b.cap, w.cap) END,
           CASE WHEN w.limit_window <> b.limit_window THEN format('window %s to %s', b.limit_window, w.limit_window) END,
           CASE WHEN w.overage_unit_price IS DISTINCT FROM b.overage_unit_price THEN
               format('unit price %s to %s', 
                      coalesce(trim_scale(b.overage_unit_price)::text, 'none'),
                      coalesce(trim_scale(w.overage_unit_price)::text, 'none')) END,
           CASE WHEN w.currency <> b.currency THEN 'currency' END) END
  FROM written w
  LEFT JOIN before b USING (plan, metric)
 ORDER BY 1
