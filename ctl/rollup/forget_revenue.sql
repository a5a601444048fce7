-- Make room for the rollup of revenue from a time on.
-- $1 timestamptz: that time
DELETE FROM rollup_revenue WHERE at >= $1::timestamptz
