-- Exchange rates: those that hold at a time, or all.
-- $1 boolean: all
SELECT r.currency, r.reporting_currency AS "in", r.rate::text AS rate, r.valid_from, r.updated_at
  FROM exchange_rates r
 WHERE $1::boolean
    OR r.valid_from = (SELECT max(x.valid_from) FROM exchange_rates x
                        WHERE (x.currency, x.reporting_currency) = (r.currency, r.reporting_currency) AND x.valid_from <= now())
 ORDER BY r.currency, r.reporting_currency, r.valid_from DESC
