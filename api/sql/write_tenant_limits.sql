-- Make these the own limits of a tenant; those that are not among them are gone.
-- $1 text: tenant; $2 json: the limits
WITH wanted AS (
    SELECT * FROM json_to_recordset($2::json) AS g (
           metric text, included numeric, unlimited boolean, cap text, "window" text, until timestamptz, unit_price numeric,
           currency text)
), gone AS (
    DELETE FROM tenant_limits WHERE tenant = $1::text AND metric NOT IN (SELECT metric FROM wanted)
)
INSERT INTO tenant_limits AS l (tenant, metric, included, unlimited, cap, limit_window, until, overage_unit_price, currency)
SELECT $1::text, metric, included, coalesce(unlimited, false), cap, "window", until, unit_price, currency FROM wanted
    ON CONFLICT (tenant, metric) DO UPDATE
   SET included = excluded.included, unlimited = excluded.unlimited, cap = excluded.cap, limit_window = excluded.limit_window,
       until = excluded.until, overage_unit_price = excluded.overage_unit_price, currency = excluded.currency
 WHERE (l.included, l.unlimited, l.cap, l.limit_window, l.until, l.overage_unit_price, l.currency)
       IS DISTINCT FROM
       (excluded.included, excluded.unlimited, excluded.cap, excluded.limit_window, excluded.until,
        excluded.overage_unit_price, excluded.currency)
