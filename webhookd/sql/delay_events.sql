-- Puts events off after a failed try.
-- $1 jsonb: [{event, why, wait_ms}, …]
UPDATE webhook_events w
   SET error = d.why, attempts = w.attempts + 1, next_attempt_at = now() + d.wait_ms * interval '1 ms'
  FROM jsonb_to_recordset($1::jsonb) AS d (event text, why text, wait_ms bigint)
 WHERE w.event_id = d.event AND w.state = 'received'
