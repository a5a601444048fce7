-- Where rollups begin: a time that was asked for, else so many days ago, at the beginning of that month.
-- $1 timestamptz: what was asked for; NULL: nothing
-- $2 integer: how many days
SELECT date_trunc('month', coalesce($1::timestamptz, now() - $2::integer * interval '1 day'), 'UTC') AS since
