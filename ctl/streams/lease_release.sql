-- Give the stream back. The token stays noted if the stream was rewritten, or may have been.
-- $1 text stream; $2 text owner; $3 boolean: it was not
UPDATE stream_positions
   SET owner = NULL, lease_until = NULL, reset_token = CASE WHEN $3 THEN NULL ELSE reset_token END
 WHERE stream = $1 AND owner = $2
