-- Gives submissions that failed back, so that their quantities are claimed anew, and asks the sink to do so at once. Those
-- of which Stripe holds or may hold something are left alone, unless told otherwise. Returns what was asked for.
-- $1 jsonb: identifiers, or NULL: all that failed; $2 text: one tenant, or NULL
-- $3 boolean: those too of which Stripe may hold something
WITH wanted AS MATERIALIZED (
    SELECT s.identifier, s.tenant, s.state, s.quantity, s.doubt_quantity, s.last_error,
           s.state = 'failed' AND ($3::boolean OR coalesce(s.doubt_quantity, 0) = 0) AS may
      FROM usage_submissions s
     WHERE CASE WHEN $1::jsonb IS NULL THEN s.state = 'failed'
                ELSE s.identifier IN (SELECT jsonb_array_elements_text($1::jsonb)) END
       AND ($2::text IS NULL OR s.tenant = $2::text)
), tried AS MATERIALIZED (
    SELECT *, CASE WHEN may THEN void_submission(identifier, '{failed}', concat_ws(': ', 'given back by hand', last_error))
                   ELSE false END AS done
      FROM wanted
), asked AS MATERIALIZED (
    SELECT request_sink(tenant, 'settle') FROM (SELECT DISTINCT tenant FROM tried WHERE done) t
)
SELECT identifier, state, trim_scale(quantity) AS quantity, trim_scale(doubt_quantity) AS doubt_quantity, done
  FROM tried
 WHERE (SELECT count(*) FROM asked) >= 0
 ORDER BY identifier
