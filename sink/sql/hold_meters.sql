-- Nothing is sent by these event names from now on, and by all others again. Tells what is held, and whether
-- usage waits for it, and what is not held any more. Two sinks may find the same at once: rows are locked in one order.
-- $1 text[] event_name, $2 text[] metric, $3 text[] why
WITH given AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) AS g (event_name, metric, why)
), freed AS (
    DELETE FROM meter_holds h
     WHERE h.event_name IN (SELECT event_name FROM meter_holds EXCEPT SELECT event_name FROM given
                             ORDER BY event_name)
    RETURNING h.event_name, h.metric, h.why
), put AS (
    INSERT INTO meter_holds AS h (event_name, metric, why)
    SELECT event_name, metric, why FROM given ORDER BY event_name
        ON CONFLICT (event_name) DO UPDATE SET metric = excluded.metric, why = excluded.why
     WHERE (h.metric, h.why) IS DISTINCT FROM (excluded.metric, excluded.why)
)
SELECT g.event_name, g.metric, g.why, true AS held,
       EXISTS (SELECT FROM usage_submissions s
                WHERE s.event_name = g.event_name AND s.state IN ('pending', 'sending')
                  AND s.transport <> 'usage_records') AS waits
  FROM given g
 UNION ALL
SELECT event_name, metric, why, false, false FROM freed
 ORDER BY held, event_name
