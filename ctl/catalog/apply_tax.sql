-- Set the tax that invoices carry, or take it away. One row if it is another one.
-- $1 json: rows of catalog_tax, one or none
WITH wanted AS (
    SELECT * FROM json_to_recordset($1::json) AS x (display_name text, percentage numeric(7,4), inclusive boolean)
), before AS (
    SELECT * FROM catalog_tax
), gone AS (
    DELETE FROM catalog_tax WHERE NOT EXISTS (SELECT FROM wanted) RETURNING display_name
), written AS (
    INSERT INTO catalog_tax AS t (display_name, percentage, inclusive)
    SELECT display_name, percentage, inclusive FROM wanted
        ON CONFLICT (only_one) DO UPDATE
       SET display_name = excluded.display_name, percentage = excluded.percentage, inclusive = excluded.inclusive
     WHERE (t.display_name, t.percentage, t.inclusive)
           IS DISTINCT FROM (excluded.display_name, excluded.percentage, excluded.inclusive)
    RETURNING t.*
)
SELECT display_name, 'dropped' FROM gone
UNION ALL
SELECT w.display_name,
       CASE WHEN b.display_name IS NULL THEN 'added' ELSE 'changed: ' || concat_ws(', ',
           CASE WHEN w.display_name <> b.display_name THEN 'name' END,
           CASE WHEN w.percentage <> b.percentage THEN
               format('percentage %s to %s', trim_scale(b.percentage), trim_scale(w.percentage)) END,
           CASE WHEN w.inclusive <> b.inclusive THEN 'inclusive' END) END
  FROM written w
  LEFT JOIN before b USING (only_one)
