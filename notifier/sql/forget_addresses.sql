-- Forgets that addresses failed for which nothing waits any more.
DELETE FROM failing_addresses f
 WHERE f.retry_at < now() - interval '1 day'
   AND NOT EXISTS (SELECT FROM outgoing_messages m
                    WHERE m.channel = f.channel AND m.destination = f.destination AND m.state = 'waiting')
