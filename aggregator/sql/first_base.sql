-- A stream that had been trimmed before anything of it was counted: its balance begins at what is there.
-- $1 text stream; $2 text owner; $3 numeric entries-added less the stream's length
UPDATE stream_positions SET base = $3::numeric, added_seen = $3::numeric
 WHERE stream = $1 AND owner = $2 AND last_id = '0-0' AND batches = 0
RETURNING 1
