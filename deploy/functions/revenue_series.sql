-- Monthly recurring revenue at each of these times, which ascend, and what moved it since the one before: all exactly, by
-- what is kept and known now. `split_by` NULL: one row a time, in p_currency (by default reporting_currency()); 'plan': one
-- for each plan, in that currency as well; 'currency': one for each currency, in itself, without any exchange rate.
--
-- A customer pays if its revenue is more than nothing. Its movement between two times is one thing: new, if it never paid
-- before; reactivation, if it did; churn, if it pays no longer; else expansion or contraction. Split by plan, that movement
-- stands where it took place: an upgrade adds the new plan's price and takes the old one's away, as expansion both.
-- Movements are at the exchange rates of the time before, and what the rates did is fx, so that
-- before + new + reactivation + expansion - contraction - churn + fx = mrr. In the first row they are NULL.
-- unpriced: subscriptions that count for nothing, since a price is not known.
CREATE OR REPLACE FUNCTION revenue_series(p_times timestamptz[], p_currency text DEFAULT NULL, p_split_by text DEFAULT NULL)
RETURNS TABLE (at timestamptz, part text, currency text, mrr fraction, customers bigint, unpriced bigint, new fraction,
               reactivation fraction, expansion fraction, contraction fraction, churn fraction, fx fraction,
               customers_won bigint, customers_lost bigint)
LANGUAGE sql STABLE SET jit = off SET work_mem = '64MB' SET enable_nestloop = off AS $$
    WITH times AS MATERIALIZED (
        SELECT t.n::integer AS n, t.at FROM unnest(p_times) WITH ORDINALITY t (at, n)
    ), wanted AS MATERIALIZED (
        SELECT coalesce(p_currency, reporting_currency()) AS currency, p_times[cardinality(p_times)] AS until
    ), states AS MATERIALIZED (
        SELECT s.*, CASE p_split_by WHEN 'plan' THEN s.plan WHEN 'currency' THEN s.currency ELSE '' END AS part,
               CASE p_split_by WHEN 'currency' THEN s.currency ELSE '' END AS side   -- within which a customer is one
          FROM wanted w CROSS JOIN LATERAL revenue_states(w.until) s
         WHERE s.units <> 0 OR NOT s.is_known
    ), moved AS MATERIALIZED (   -- n: the first time at which it shows
        SELECT s.customer, s.side, s.part, s.currency, width_bucket(e.at - interval '1 us', p_times) + 1 AS n,
               sum(e.units) AS units, sum(e.unpriced) AS unpriced
          FROM states s
         CROSS JOIN LATERAL (VALUES (s.valid_from, s.units, CASE WHEN s.is_known THEN 0 ELSE 1 END),
                                    (s.ends_at, -s.units, CASE WHEN s.is_known THEN 0 ELSE -1 END)) e (at, units, unpriced)
         WHERE e.at IS NOT NULL
         GROUP BY 1, 2, 3, 4, 5
        HAVING sum(e.units) <> 0 OR sum(e.unpriced) <> 0
    ), rates AS MATERIALIZED (   -- of each currency since the time before it first shows
        SELECT c.currency, t.n, CASE p_split_by WHEN 'currency' THEN ROW(1, 1)::fraction
                                     ELSE exchange_rate(c.currency, w.currency, t.at) END AS rate
          FROM (SELECT m.currency, min(m.n) - 1 AS since FROM moved m WHERE m.units <> 0 GROUP BY m.currency) c
          JOIN times t ON t.n >= c.since
         CROSS JOIN wanted w
    ), common AS MATERIALIZED (
        SELECT common_denominator(array_agg(DISTINCT (r.rate).denominator)) AS per,
               coalesce((SELECT min(s.per) FROM states s), 1) AS units_per FROM rates r
    ), factors AS MATERIALIZED (
        SELECT r.currency, r.n, (r.rate).numerator * div(c.per, (r.rate).denominator) AS factor FROM rates r CROSS JOIN common c
    ), steps AS (   -- of a customer: units of several currencies are a number without a meaning, and 0 if it pays nothing
        SELECT m.customer, m.side, m.n, sum(m.units) AS units, sum(m.units * f.factor) AS value
          FROM moved m LEFT JOIN factors f ON f.currency = m.currency AND f.n = m.n - 1
         WHERE m.units <> 0
         GROUP BY 1, 2, 3
    ), paying AS (
        SELECT s.*, sum(s.units) OVER (PARTITION BY s.customer, s.side ORDER BY s.n) AS after FROM steps s
    ), first_paid AS (
        SELECT s.customer, s.side, min(s.valid_from) AS at FROM states s WHERE s.units > 0 GROUP BY 1, 2
    ), movements AS (
        SELECT p.customer, p.side, p.n,
               CASE WHEN p.after = 0 AND p.after = p.units THEN 'none'
                    WHEN p.after = 0 THEN 'churn'
                    WHEN p.after <> p.units THEN CASE WHEN p.value < 0 THEN 'contraction' ELSE 'expansion' END
                    WHEN f.at <= p_times[p.n - 1] THEN 'reactivation' ELSE 'new' END AS movement
          FROM paying p JOIN first_paid f USING (customer, side)
         WHERE p.n > 1
    ), sums AS MATERIALIZED (
        SELECT m.part, m.n, v.movement, sum(m.units * f.factor) AS value, count(DISTINCT m.customer) AS customers
          FROM moved m
          JOIN movements v ON (v.customer, v.side, v.n) = (m.customer, m.side, m.n)
          JOIN factors f ON f.currency = m.currency AND f.n = m.n - 1
         WHERE m.units <> 0
         GROUP BY 1, 2, 3
    ), parts AS MATERIALIZED (
        SELECT DISTINCT m.part FROM moved m
        UNION
        SELECT '' WHERE p_split_by IS NULL
    ), heads AS (   -- +1 where a customer begins to pay for a part, -1 where it ends
        SELECT x.part, x.n, sum(sign(x.after) - sign(x.after - x.units)) AS change
          FROM (SELECT y.part, y.n, y.units, sum(y.units) OVER (PARTITION BY y.customer, y.part ORDER BY y.n) AS after
                  FROM (SELECT m.customer, m.part, m.n, sum(m.units) AS units FROM moved m GROUP BY 1, 2, 3) y) x
         GROUP BY 1, 2
    ), counts AS (
        SELECT p.part, t.n, sum(coalesce(h.change, 0)) OVER w AS customers, sum(coalesce(u.unpriced, 0)) OVER w AS unpriced
          FROM parts p CROSS JOIN times t
          LEFT JOIN heads h ON (h.part, h.n) = (p.part, t.n)
          LEFT JOIN (SELECT m.part, m.n, sum(m.unpriced) AS unpriced FROM moved m GROUP BY 1, 2) u ON (u.part, u.n) = (p.part, t.n)
        WINDOW w AS (PARTITION BY p.part ORDER BY t.n)
    ), held AS (   -- units of a part in a currency at each time
        SELECT g.part, g.currency, t.n, sum(coalesce(d.units, 0)) OVER (PARTITION BY g.part, g.currency ORDER BY t.n) AS units
          FROM (SELECT DISTINCT m.part, m.currency FROM moved m WHERE m.units <> 0) g
         CROSS JOIN times t
          LEFT JOIN (SELECT m.part, m.currency, m.n, sum(m.units) AS units FROM moved m GROUP BY 1, 2, 3) d
            ON (d.part, d.currency, d.n) = (g.part, g.currency, t.n)
    ), valued AS (
        SELECT h.part, h.n, sum(h.units * f.factor) AS mrr, sum(h.units * (f.factor - b.factor)) AS fx
          FROM held h
          JOIN factors f ON (f.currency, f.n) = (h.currency, h.n)
          LEFT JOIN factors b ON (b.currency, b.n) = (h.currency, h.n - 1)
         GROUP BY 1, 2
    ), turned AS (
        SELECT s.part, s.n, max(s.value) FILTER (WHERE s.movement = 'new') AS new,
               max(s.value) FILTER (WHERE s.movement = 'reactivation') AS reactivation,
               max(s.value) FILTER (WHERE s.movement = 'expansion') AS expansion,
               -max(s.value) FILTER (WHERE s.movement = 'contraction') AS contraction,
               -max(s.value) FILTER (WHERE s.movement = 'churn') AS churn,
               sum(s.customers) FILTER (WHERE s.movement IN ('new', 'reactivation')) AS won,
               sum(s.customers) FILTER (WHERE s.movement = 'churn') AS lost
          FROM sums s GROUP BY 1, 2
    )
    SELECT t.at, p.part, CASE p_split_by WHEN 'currency' THEN p.part ELSE w.currency END,
           ROW(coalesce(v.mrr, 0), q.per)::fraction, k.customers::bigint, k.unpriced::bigint,
           CASE WHEN t.n > 1 THEN ROW(coalesce(m.new, 0), q.per)::fraction END,
           CASE WHEN t.n > 1 THEN ROW(coalesce(m.reactivation, 0), q.per)::fraction END,
           CASE WHEN t.n > 1 THEN ROW(coalesce(m.expansion, 0), q.per)::fraction END,
           CASE WHEN t.n > 1 THEN ROW(coalesce(m.contraction, 0), q.per)::fraction END,
           CASE WHEN t.n > 1 THEN ROW(coalesce(m.churn, 0), q.per)::fraction END,
           CASE WHEN t.n > 1 THEN ROW(coalesce(v.fx, 0), q.per)::fraction END,
           CASE WHEN t.n > 1 THEN coalesce(m.won, 0)::bigint END, CASE WHEN t.n > 1 THEN coalesce(m.lost, 0)::bigint END
      FROM times t
     CROSS JOIN wanted w
     CROSS JOIN (SELECT c.per * c.units_per AS per FROM common c) q
     CROSS JOIN parts p
      JOIN counts k ON (k.part, k.n) = (p.part, t.n)
      LEFT JOIN valued v ON (v.part, v.n) = (p.part, t.n)
      LEFT JOIN turned m ON (m.part, m.n) = (p.part, t.n)
     ORDER BY t.n, p.part
$$;

COMMENT ON FUNCTION revenue_series IS 'Monthly recurring revenue at each of these times, and what moved it in between.';
