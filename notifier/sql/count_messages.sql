-- How many messages wait and how many have failed, and how long the oldest has waited, ms, by channel.
SELECT c.channel,
       (SELECT count(*) FROM outgoing_messages m WHERE m.channel = c.channel AND m.state = 'waiting')::int8 AS waiting,
       (SELECT count(*) FROM outgoing_messages m WHERE m.channel = c.channel AND m.state = 'failed')::int8 AS failed,
       (SELECT coalesce(floor(1000 * extract(epoch FROM now() - min(m.waiting_since))), 0)
          FROM outgoing_messages m WHERE m.channel = c.channel AND m.state = 'waiting')::int8 AS oldest_ms
  FROM (VALUES ('signal'), ('mail'), ('post')) AS c (channel)
