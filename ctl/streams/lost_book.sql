-- Book entries that somebody removed before they were counted as lost, and as accepted.
-- $1 text stream; $2 text owner; $3 int4 epoch; $4 int8 entries; $5 int8 lost before
WITH booked AS (
    UPDATE stream_positions SET lost = lost + $4::bigint, updated_at = now()
     WHERE stream = $1 AND owner = $2 AND lease_until > clock_timestamp() AND epoch = $3 AND lost = $5::bigint
    RETURNING stream, epoch
)
INSERT INTO lost_accepted AS a (stream, epoch, lost)
SELECT stream, epoch, $4::bigint FROM booked
    ON CONFLICT (stream, epoch) DO UPDATE
   SET lost = a.lost + excluded.lost, accepted_at = now(), accepted_by = session_user
