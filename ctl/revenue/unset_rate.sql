-- Forget a rate; the one before holds on.
-- $1 text: the currency
-- $2 text: the currency that it is worth it in
-- $3 timestamptz: since when it held
DELETE FROM exchange_rates WHERE (currency, reporting_currency, valid_from) = ($1::text, $2::text, $3::timestamptz)
