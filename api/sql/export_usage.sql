-- A page of a tenant's usage by the minute: a line of CSV each, and the place behind which the next page begins.
-- $1 text: tenant; $2 timestamptz: from; $3 timestamptz: to; $4 text: metric, or NULL; $5 text, $6 timestamptz and $7 jsonb:
-- metric, minute and dimensions of the row before, or NULL; $8 bigint: how many
SELECT '"' || replace($1::text, '"', '""') || '",' || a.metric || ',' || to_char(a.minute_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z",')
       || a.events || ',' || trim_scale(a.quantity_sum) || ',' || trim_scale(a.quantity_min) || ',' || trim_scale(a.quantity_max)
       || ',' || trim_scale(a.quantity_last) || ',"' || replace(a.dimensions::text, '"', '""') || E'"\n',
       a.metric, a.minute_at, a.dimensions
  FROM usage_aggregates a
 WHERE a.tenant = $1::text AND a.minute_at >= $2::timestamptz AND a.minute_at < $3::timestamptz
   AND ($4::text IS NULL OR a.metric = $4::text)
   AND ($5::text IS NULL OR (a.metric, a.minute_at, a.dimensions) > ($5::text, $6::timestamptz, $7::jsonb))
   AND ($5::text IS NULL OR a.metric >= $5::text)
 ORDER BY a.metric, a.minute_at, a.dimensions
 LIMIT $8::bigint
