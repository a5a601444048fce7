-- The rollup of activation: of the tenants whose first step was in a month, how many took each step and all before it.
-- $1 text: the steps in their order, as a JSON array of texts
INSERT INTO rollup_activation (cohort, place, step, tenants, percent_of_first, percent_of_previous, median_hours)
WITH steps AS MATERIALIZED (
    SELECT s.place::integer AS place, s.step FROM jsonb_array_elements_text($1::jsonb) WITH ORDINALITY s (step, place)
), taken AS MATERIALIZED (
    SELECT e.tenant, s.place, e.occurred_at FROM product_events e JOIN steps s ON s.step = e.step
), firsts AS MATERIALIZED (
    SELECT t.tenant, t.occurred_at, date_trunc('month', t.occurred_at, 'UTC') AS month FROM taken t WHERE t.place = 1
), reached AS (
    SELECT f.month, s.place, t.tenant, greatest(max(t.occurred_at) - f.occurred_at, '0') AS after
      FROM firsts f JOIN taken t USING (tenant) JOIN steps s ON t.place <= s.place
     GROUP BY f.month, s.place, t.tenant, f.occurred_at
    HAVING count(*) = s.place
), counted AS (
    SELECT m.month, s.place, s.step, count(r.tenant) AS tenants,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY r.after) AS after
      FROM (SELECT DISTINCT f.month FROM firsts f) m
     CROSS JOIN steps s
      LEFT JOIN reached r ON (r.month, r.place) = (m.month, s.place)
     GROUP BY 1, 2, 3
)
SELECT (c.month AT TIME ZONE 'UTC')::date, c.place, c.step, c.tenants,
       round(100.0 * c.tenants / first_value(c.tenants) OVER w, 1),
       round(100.0 * c.tenants / NULLIF(lag(c.tenants) OVER w, 0), 1), round(extract(epoch FROM c.after) / 3600, 1)
  FROM counted c
WINDOW w AS (PARTITION BY c.month ORDER BY c.place)
