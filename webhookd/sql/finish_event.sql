-- Ends the work on an event.
-- $1 text: event id
-- $2 text: processed, ignored or failed
-- $3 text: why it was ignored or failed, or NULL
UPDATE webhook_events
   SET state = $2::text, error = $3::text, attempts = attempts + 1, processed_at = now()
 WHERE event_id = $1::text
