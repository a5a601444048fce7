-- Note when a rollup was made.
-- $1 text: which one
-- $2 text: the currency of its sums; NULL: as reporting_currency() says, if it has sums
INSERT INTO rollup_runs AS r (rollup, made_at, currency)
VALUES ($1::text, now(), CASE WHEN $1::text = 'revenue' THEN coalesce($2::text, reporting_currency()) END)
ON CONFLICT (rollup) DO UPDATE SET made_at = excluded.made_at, currency = excluded.currency
