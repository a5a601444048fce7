-- Spreads a whole amount over parts in proportion to their weights, exactly: each gets a whole number, all together get
-- the amount. What the parts up to one get is rounded, half up, so that no part is off by one or more.
CREATE OR REPLACE FUNCTION spread_amount(p_amount numeric, p_weights numeric[]) RETURNS numeric[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(x.upto - x.before ORDER BY x.place), '{}')
      FROM (SELECT s.place, s.upto, coalesce(lag(s.upto) OVER (ORDER BY s.place), 0) AS before
              FROM (SELECT w.place,
                           CASE WHEN sum(w.weight) OVER () = 0 THEN 0
                                ELSE fraction_round(ROW(p_amount * sum(w.weight) OVER (ORDER BY w.place),
                                                        sum(w.weight) OVER ())::fraction) END AS upto
                      FROM unnest(p_weights) WITH ORDINALITY w (weight, place)) s) x
$$;

COMMENT ON FUNCTION spread_amount IS 'Spreads a whole amount over parts in proportion to their weights, exactly.';
