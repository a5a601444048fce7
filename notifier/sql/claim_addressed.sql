-- Takes messages that are due and go to many addresses: of each so few that a slow one holds nobody up. An address that
-- took nothing last time gets one message, and all such addresses together get no more than a part of what is taken.
-- $1 text: channel
-- $2 int8: so many at most
-- $3 int8: how long they are this process's to send, ms
-- $4 int8: how many messages one address may have in flight
-- $5 int8: so many at most for addresses that took nothing last time
WITH RECURSIVE addresses AS ( -- each once, whatever waits for it: an index lookup for each
    (SELECT destination FROM outgoing_messages WHERE channel = $1 AND state = 'waiting' ORDER BY destination LIMIT 1)
    UNION ALL
    SELECT (SELECT m.destination
              FROM outgoing_messages m
             WHERE m.channel = $1 AND m.state = 'waiting' AND m.destination > a.destination
             ORDER BY m.destination LIMIT 1)
      FROM addresses a
     WHERE a.destination IS NOT NULL),
room AS (
    SELECT a.destination, f.failures,
           CASE WHEN f.failures IS NULL THEN $4 ELSE 1 END
           - (SELECT count(*)
                FROM outgoing_messages m
               WHERE m.channel = $1 AND m.destination = a.destination AND m.lease_until > now()) AS places
      FROM addresses a
      LEFT JOIN failing_addresses f ON f.channel = $1 AND f.destination = a.destination
     WHERE a.destination IS NOT NULL AND (f.retry_at IS NULL OR f.retry_at <= now())),
first_due AS (
    SELECT r.*, d.next_attempt_at, row_number() OVER (PARTITION BY r.failures IS NULL ORDER BY d.next_attempt_at) AS n
      FROM room r
     CROSS JOIN LATERAL (SELECT m.next_attempt_at
                           FROM outgoing_messages m
                          WHERE m.channel = $1 AND m.destination = r.destination AND m.state = 'waiting'
                            AND m.next_attempt_at <= now() AND (m.lease_until IS NULL OR m.lease_until <= now())
                          ORDER BY m.next_attempt_at LIMIT 1) d
     WHERE r.places > 0),
picked AS (
    SELECT * FROM first_due WHERE failures IS NULL OR n <= $5 ORDER BY next_attempt_at LIMIT $2),
due AS (
    SELECT m.message_id, p.failures
      FROM picked p
     CROSS JOIN LATERAL (SELECT x.message_id
                           FROM outgoing_messages x
                          WHERE x.channel = $1 AND x.destination = p.destination AND x.state = 'waiting'
                            AND x.next_attempt_at <= now() AND (x.lease_until IS NULL OR x.lease_until <= now())
                          ORDER BY x.next_attempt_at, x.occurred_at, x.message_id LIMIT p.places
                            FOR UPDATE SKIP LOCKED) m
     LIMIT $2),
taken AS (
    UPDATE outgoing_messages m
       SET lease_until = now() + $3 * interval '1 ms', attempts = m.attempts + 1
      FROM due
     WHERE m.channel = $1 AND m.message_id = due.message_id
    RETURNING m.*, due.failures)
SELECT t.message_id, t.tenant, t.kind, t.destination, t.data::text, t.occurred_at, t.attempts::int8,
       floor(1000 * extract(epoch FROM now() - t.waiting_since))::int8 AS waited_ms, t.created_at,
       coalesce(t.failures, 0)::int8 AS failures, s.post_secret AS secret
  FROM taken t
  LEFT JOIN alert_settings s ON s.tenant = t.tenant AND t.channel = 'post' AND s.post_url = t.destination
 ORDER BY t.next_attempt_at, t.occurred_at, t.message_id
