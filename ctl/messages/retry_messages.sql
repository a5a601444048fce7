-- Has messages sent again that failed, and at once those that wait. Returns what was asked for, and whether that was done.
-- $1 jsonb: message ids, or NULL: by the filter; $2 text: state; $3 text: kind, in which * stands for anything; $4 text: tenant;
-- $5 text: channel; $6 timestamptz: made since; $7 timestamptz: made before; each may be NULL
WITH wanted AS MATERIALIZED (
    SELECT m.message_id, m.channel, m.state, m.destination
      FROM outgoing_messages m
     WHERE CASE WHEN $1::jsonb IS NULL THEN m.state IN ('failed', 'waiting')
                ELSE m.message_id IN (SELECT jsonb_array_elements_text($1::jsonb)) END
       AND ($2::text IS NULL OR m.state = $2::text)
       AND ($3::text IS NULL OR m.kind LIKE replace(replace($3::text, '_', '\_'), '*', '%'))
       AND ($4::text IS NULL OR m.tenant = $4::text)
       AND ($5::text IS NULL OR m.channel = $5::text)
       AND ($6::timestamptz IS NULL OR m.created_at >= $6::timestamptz)
       AND ($7::timestamptz IS NULL OR m.created_at < $7::timestamptz)
), done AS (
    UPDATE outgoing_messages m
       SET state = 'waiting', next_attempt_at = now(), waiting_since = now(),
           attempts = CASE WHEN m.state = 'failed' THEN 0 ELSE m.attempts END
      FROM wanted w
     WHERE m.message_id = w.message_id AND m.channel = w.channel AND m.state IN ('failed', 'waiting')
    RETURNING m.message_id, m.channel, m.destination
), tried AS (
    UPDATE failing_addresses f SET retry_at = now()
      FROM (SELECT DISTINCT channel, destination FROM done) d
     WHERE f.channel = d.channel AND f.destination = d.destination
), told AS MATERIALIZED (
    SELECT pg_notify('meterline_messages', '') FROM (SELECT FROM done LIMIT 1) d)
SELECT w.message_id, w.channel, w.state, d.message_id IS NOT NULL AS done, (SELECT count(*) FROM told) AS told
  FROM wanted w LEFT JOIN done d USING (message_id, channel)
 ORDER BY w.message_id, w.channel
