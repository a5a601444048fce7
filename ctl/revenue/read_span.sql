-- The span of a series: what was asked for, else the last full month, or now alone; and how many steps it has, -1 if it ends
-- before it begins.
-- $1 timestamptz: the first time; NULL: not asked for
-- $2 timestamptz: the last one; NULL: not asked for
-- $3 text: day, week or month
-- $4 boolean: what is shown lies between two times
SELECT s.since, s.until,
       CASE WHEN s.since > s.until OR ($4::boolean AND s.since = s.until) THEN -1
            ELSE ceil(extract(epoch FROM s.until - s.since) / extract(epoch FROM ('1 ' || $3::text)::interval)) END::bigint AS steps
  FROM (SELECT coalesce($1::timestamptz, CASE WHEN NOT $4::boolean THEN coalesce($2::timestamptz, now())
                                              ELSE date_trunc('month', coalesce($2::timestamptz, now()) - interval '1 month', 'UTC') END)
                   AS since,
               coalesce($2::timestamptz, CASE WHEN $4::boolean AND $1::timestamptz IS NULL THEN date_trunc('month', now(), 'UTC')
                                              ELSE now() END) AS until) s
