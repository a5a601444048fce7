-- Make room for the rollup of what usage cost and saved, from a month on.
-- $1 timestamptz: a time in that month
DELETE FROM rollup_roi WHERE month >= (date_trunc('month', $1::timestamptz, 'UTC') AT TIME ZONE 'UTC')::date
