-- Set what one of a currency is worth from a time on.
-- $1 text: the currency
-- $2 text: the currency that it is worth it in
-- $3 numeric: how much
-- $4 timestamptz: since when; NULL: now
INSERT INTO exchange_rates (currency, reporting_currency, rate, valid_from)
VALUES ($1::text, $2::text, $3::numeric, coalesce($4::timestamptz, date_trunc('second', now())))
ON CONFLICT (currency, reporting_currency, valid_from) DO UPDATE SET rate = excluded.rate, updated_at = now()
