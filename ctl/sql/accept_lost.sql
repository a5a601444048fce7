-- Note that a person accepts what was lost. Returns a row for each stream and epoch whose losses were not accepted
-- yet, or not all.
WITH books AS (
    SELECT stream, epoch, lost FROM stream_positions
    UNION ALL
    SELECT stream, epoch, lost FROM stream_epochs
)
INSERT INTO lost_accepted AS a (stream, epoch, lost)
SELECT stream, epoch, lost FROM books WHERE lost > 0
    ON CONFLICT (stream, epoch) DO UPDATE
   SET lost = excluded.lost, accepted_at = now(), accepted_by = session_user
 WHERE a.lost < excluded.lost
RETURNING stream, epoch, lost
