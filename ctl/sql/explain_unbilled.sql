-- What of a total is in no submission, with why.
-- $1 text: tenant; $2 text: metric; $3 timestamptz: the period's start
select u.reason, trim_scale(u.quantity) as quantity
  from usage_unbilled u
 where u.tenant = $1::text and u.metric = $2::text and u.period_start = $3::timestamptz and u.quantity <> 0
 order by u.reason
