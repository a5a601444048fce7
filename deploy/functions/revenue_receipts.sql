-- What was paid from one time until before another, less what was paid back of it since, in minor units: in one currency, at
-- the rate of the end of each day (UTC); or by currency, each in itself. Rounded once.
CREATE OR REPLACE FUNCTION revenue_receipts(p_from timestamptz, p_to timestamptz, p_currency text DEFAULT NULL,
                                            p_split_by text DEFAULT NULL)
RETURNS TABLE (currency text, payments bigint, amount fraction, amount_minor numeric)
LANGUAGE sql STABLE AS $$
    WITH wanted AS MATERIALIZED (
        SELECT coalesce(p_currency, reporting_currency()) AS currency
    ), days AS (
        SELECT p.currency, date_trunc('day', p.paid_at, 'UTC') AS day, count(*) AS payments,
               sum(p.amount_minor - p.refunded_minor) AS amount
          FROM payments p
         WHERE p.status = 'succeeded' AND p.paid_at >= p_from AND p.paid_at < p_to
         GROUP BY 1, 2
    ), told AS (
        SELECT CASE p_split_by WHEN 'currency' THEN d.currency ELSE w.currency END AS currency, d.payments, d.amount,
               CASE p_split_by WHEN 'currency' THEN ROW(1, 1)::fraction
                    ELSE exchange_rate(d.currency, w.currency, least(d.day + interval '1 day', p_to)) END AS rate
          FROM days d CROSS JOIN wanted w
        UNION ALL
        SELECT w.currency, 0, 0, ROW(1, 1)::fraction FROM wanted w WHERE p_split_by IS NULL
    )
    SELECT x.currency, x.payments, x.amount, fraction_round(x.amount)
      FROM (SELECT t.currency, sum(t.payments)::bigint AS payments,
                   fraction_sum(array_agg(ROW(t.amount * (t.rate).numerator, (t.rate).denominator)::fraction)) AS amount
              FROM told t GROUP BY t.currency) x
     ORDER BY x.currency
$$;

COMMENT ON FUNCTION revenue_receipts IS 'What was paid between two times, less what was paid back of it.';
