-- Deletes observations that nothing needs any more: of each object the newest stays, and how it ended. Stripe delivers
-- nothing that is older than 30 days, so what is 60 days old does not change what came before. Only those are looked
-- at that came of that age lately.
DELETE FROM stripe_observations o
 WHERE o.noted_at >= now() - interval '67 days' AND o.noted_at < now() - interval '60 days'
   AND NOT o.is_final
   AND EXISTS (SELECT FROM stripe_observations n
                WHERE n.object_id = o.object_id AND n.created_at > o.created_at AND n.event_id <> '')
