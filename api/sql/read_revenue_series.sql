-- Recurring revenue along a series, with what moved it from step to step. Column 1: why it cannot be told, and 2: which
-- parameter that is about; else NULL.
-- $1 timestamptz: the first time
-- $2 timestamptz: the last one; NULL: now
-- $3 text: day, week or month
-- $4 text: the currency of sums; NULL: reporting_currency()
-- $5 text: plan or currency: a row for each; NULL: all of it in one
SELECT jsonb_build_object('revenue', a.told -> 'rows')::text, a.told ->> 'fault', a.told ->> 'param'
  FROM (SELECT revenue_answer($1::timestamptz, coalesce($2::timestamptz, now()), $3::text, $4::text, $5::text) AS told) a
