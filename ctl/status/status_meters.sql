-- Metrics that are not sent because Stripe's meter is missing, archived or counts in another way, and how many
-- submissions wait for it.
SELECT metric, event_name, extract(epoch FROM now() - since)::int8 AS since_s,
       (SELECT count(*) FROM usage_submissions s
         WHERE s.event_name = h.event_name AND s.state IN ('pending', 'sending')
           AND s.transport <> 'usage_records') AS waiting, why
  FROM meter_holds h
 ORDER BY event_name
