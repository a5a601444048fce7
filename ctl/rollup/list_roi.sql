-- roi.csv: what usage cost us and saved tenants, by month.
SELECT r.month, r.tenant, r.metric, trim_scale(r.quantity) AS quantity, trim_scale(r.cost_minor) AS cost_minor, r.currency,
       trim_scale(r.hours_saved) AS hours_saved
  FROM rollup_roi r
 ORDER BY r.month, r.tenant, r.metric
