-- The part of a total that is in no submission, with the reason.
-- $1 text: tenant; $2 text: metric; $3 timestamptz: the period's start
SELECT u.reason, trim_scale(u.quantity) AS quantity
  FROM usage_unbilled u
 WHERE u.tenant = $1::text AND u.metric = $2::text AND u.period_start = $3::timestamptz AND u.quantity <> 0
 ORDER BY u.reason
