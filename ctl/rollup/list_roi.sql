-- roi.csv: what usage cost us and saved tenants, by month.
-- $1 timestamptz: months that began before; NULL: all
SELECT r.month, r.tenant, r.metric, trim_scale(r.quantity) AS quantity, trim_scale(r.cost_minor) AS cost_minor, r.currency,
       trim_scale(r.hours_saved) AS hours_saved
  FROM rollup_roi r
 WHERE $1::timestamptz IS NULL OR r.month < ($1::timestamptz AT TIME ZONE 'UTC')::date
 ORDER BY r.month, r.tenant, r.metric
