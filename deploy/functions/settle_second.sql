-- Finds out which of an object's events of one second was the last one there.
--
-- Each event that changed something leads from one state to another. What more events lead to than lead away from is
-- where the second ended; there is one such state, unless events between are missing. If as many lead to each state as
-- away from it, the second ended where it began. Where several ends are left, it is the one that the next events start
-- from, else one that does not follow from where the second began. An event that tells no change counts only if no
-- other event knows its state. Two events for one change (the same request, type and states) count once.
CREATE OR REPLACE FUNCTION settle_second(p_object text, p_second timestamptz) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    begun text;   -- the state that the second began with
    next_second timestamptz;
    chosen text;
BEGIN
    SELECT o.state INTO begun FROM stripe_observations o
     WHERE o.object_id = p_object AND o.created_at < p_second AND o.is_last AND o.event_id <> ''
     ORDER BY o.created_at DESC LIMIT 1;
    SELECT min(o.created_at) INTO next_second FROM stripe_observations o
     WHERE o.object_id = p_object AND o.created_at > p_second AND o.event_id <> '';

    WITH RECURSIVE here AS MATERIALIZED (
        SELECT o.event_id, o.state, o.prior, o.is_first, o.is_final, o.rank,
               o.prior IS DISTINCT FROM o.state
               AND row_number() OVER (PARTITION BY o.type, o.prior, o.state, o.request_id ORDER BY o.event_id) = 1 AS leads
          FROM stripe_observations o
         WHERE o.object_id = p_object AND o.created_at = p_second AND o.event_id <> ''
    ), states AS MATERIALIZED (
        SELECT h.state,
               CASE WHEN EXISTS (SELECT FROM here e WHERE e.leads AND h.state IN (e.state, e.prior))
                    THEN (SELECT count(*) FROM here e WHERE e.leads AND e.state = h.state)
                         - (SELECT count(*) FROM here e WHERE e.leads AND e.prior = h.state)
                    ELSE CASE WHEN h.state = begun THEN 0 ELSE 1 END END AS surplus
          FROM (SELECT DISTINCT state FROM here) h
    ), reached AS (
        SELECT begun AS state
        UNION
        SELECT e.state FROM here e WHERE e.leads AND e.is_first
        UNION
        SELECT e.state FROM reached r JOIN here e ON e.leads AND e.prior = r.state
    )
    SELECT h.event_id INTO chosen
      FROM here h JOIN states s USING (state)
     ORDER BY h.is_final DESC, s.surplus > 0 DESC,
              (SELECT max(x.surplus) FROM states x) <= 0 AND h.state IS NOT DISTINCT FROM begun DESC,
              EXISTS (SELECT FROM stripe_observations n
                       WHERE n.object_id = p_object AND n.created_at = next_second AND n.prior = h.state
                         AND n.prior IS DISTINCT FROM n.state) DESC,
              NOT EXISTS (SELECT FROM reached r WHERE r.state = h.state) DESC,
              h.rank DESC, h.state DESC, h.event_id DESC
     LIMIT 1;

    UPDATE stripe_observations o SET is_last = (o.event_id = chosen)
     WHERE o.object_id = p_object AND o.created_at = p_second AND o.event_id <> ''
       AND o.is_last <> (o.event_id = chosen);
END $$;

COMMENT ON FUNCTION settle_second IS 'Finds out which of an object''s events of one second was the last one there.';
