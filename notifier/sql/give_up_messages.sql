-- Addresses took nothing for so long: what has waited for them as long has failed, too, though one message at a time was
-- tried.
-- $1 text: channel
-- $2 text[] destination, $3 text[] why it took nothing
-- $4 int8: how long a message is tried, ms
UPDATE outgoing_messages m
   SET state = 'failed', error = o.error
  FROM (SELECT DISTINCT ON (x.destination) x.destination, x.error
          FROM unnest($2::text[], $3::text[]) AS x (destination, error)
         ORDER BY x.destination) o
 WHERE m.channel = $1 AND m.destination = o.destination AND m.state = 'waiting'
   AND m.waiting_since <= now() - $4 * interval '1 ms' AND (m.lease_until IS NULL OR m.lease_until <= now())
   AND EXISTS (SELECT FROM failing_addresses f WHERE f.channel = $1 AND f.destination = m.destination)
