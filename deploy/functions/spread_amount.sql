-- A whole amount as parts, each a whole multiple of the step, all together the amount: each as near to its exact part as
-- that allows. What is cut off at first goes to those that lost most, the first ones where several lost as much.
CREATE OR REPLACE FUNCTION spread_amount(p_amount numeric, p_parts fraction[], p_step numeric) RETURNS numeric[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    WITH part AS (
        SELECT x.place, x.numerator, x.denominator * p_step AS denominator,
               floor_div(x.numerator, x.denominator * p_step) AS whole
          FROM unnest(p_parts) WITH ORDINALITY x (numerator, denominator, place)
    ), ranked AS (   -- what it lost, over a denominator that all share
        SELECT p.place, p.whole,
               row_number() OVER (ORDER BY round((p.numerator - p.whole * p.denominator) / p.denominator, 15) DESC, p.place)
                   <= div(p_amount, p_step) - sum(p.whole) OVER () AS gets_more
          FROM part p
    )
    SELECT coalesce(array_agg((r.whole + CASE WHEN r.gets_more THEN 1 ELSE 0 END) * p_step ORDER BY r.place), '{}')
      FROM ranked r
$$;

COMMENT ON FUNCTION spread_amount IS 'A whole amount as parts in proportion, exactly.';
