-- The currency that sums are told in if nothing else is asked for: the one that exchange rates lead to, else the one that
-- most subscriptions have.
CREATE OR REPLACE FUNCTION reporting_currency() RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT r.reporting_currency FROM exchange_rates r
                      GROUP BY r.reporting_currency ORDER BY count(DISTINCT r.currency) DESC, r.reporting_currency LIMIT 1),
                    (SELECT s.currency FROM subscriptions s WHERE s.currency IS NOT NULL
                      GROUP BY s.currency ORDER BY count(*) DESC, s.currency LIMIT 1), 'usd')
$$;

COMMENT ON FUNCTION reporting_currency IS 'The currency that sums are told in if nothing else is asked for.';
