-- Streams and epochs that lost entries, and how many of these a person has accepted, when, and by which login.
WITH books AS (
    SELECT stream, epoch, lost, 'open' AS reason, updated_at AS at FROM stream_positions
    UNION ALL
    SELECT stream, epoch, lost, reason, closed_at FROM stream_epochs
)
SELECT b.stream, b.epoch, b.reason, to_char(b.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS until, b.lost,
       coalesce(a.lost, 0) AS accepted,
       to_char(a.accepted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS accepted_at, a.accepted_by
  FROM books b
  LEFT JOIN lost_accepted a USING (stream, epoch)
 WHERE b.lost > 0
 ORDER BY b.stream, b.epoch
