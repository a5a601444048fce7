-- What one minor unit of a currency is worth in minor units of another at that time, exactly: by the newest rate that held
-- then, or its reciprocal, or over a third currency. It raises where there is none, since a sum without it would be wrong.
CREATE OR REPLACE FUNCTION exchange_rate(p_from text, p_to text, p_at timestamptz) RETURNS fraction
LANGUAGE plpgsql STABLE AS $$
DECLARE
    rate fraction;
BEGIN
    IF p_from = p_to THEN
        RETURN ROW(1, 1)::fraction;
    END IF;
    WITH newest AS MATERIALIZED (
        SELECT DISTINCT ON (r.currency, r.reporting_currency) r.currency, r.reporting_currency, scaled.up, r.rate * scaled.up AS whole
          FROM exchange_rates r
         CROSS JOIN LATERAL (SELECT trunc(power(10::numeric, scale(r.rate))) AS up) scaled
         WHERE r.valid_from <= p_at
         ORDER BY r.currency, r.reporting_currency, r.valid_from DESC
    ), ways (source, target, numerator, denominator, detour) AS (
        SELECT n.currency, n.reporting_currency, trunc(n.whole), n.up, 0 FROM newest n
        UNION ALL
        SELECT n.reporting_currency, n.currency, n.up, trunc(n.whole), 1 FROM newest n
    ), found AS (
        SELECT w.numerator, w.denominator, w.detour, '' AS over FROM ways w WHERE (w.source, w.target) = (p_from, p_to)
        UNION ALL
        SELECT a.numerator * b.numerator, a.denominator * b.denominator, 2 + a.detour + b.detour, a.target
          FROM ways a JOIN ways b ON b.source = a.target
         WHERE (a.source, b.target) = (p_from, p_to)
    )
    SELECT f.numerator * minor_units(p_to), f.denominator * minor_units(p_from) INTO rate.numerator, rate.denominator
      FROM found f ORDER BY f.detour, f.over LIMIT 1;
    IF NOT FOUND THEN
        RAISE no_data_found USING MESSAGE =
            format('there is no exchange rate of %1$s to %2$s at %3$s: meterctl rates set %1$s %2$s RATE --from %3$s',
                   p_from, p_to, to_char(p_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"'));
    END IF;
    RETURN rate;
END $$;

COMMENT ON FUNCTION exchange_rate IS 'What a minor unit of a currency is worth in minor units of another at a time, exactly.';
