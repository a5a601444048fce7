-- The next rejected entries to be replayed. By id also those that were replayed already.
-- $1 bigint: after this id; $2 bigint: up to this id; $3 bigint[]: these ids; $4 text: tenant; $5 text: reason;
-- $6 timestamptz: rejected since; $3 to $6 may be NULL; $7 boolean: again those that were replayed
select rejected_id, stream, stream_id, reason, fields::text, replayed_at is not null and not $7::boolean as replayed
  from rejected_events
 where rejected_id > $1::bigint and rejected_id <= $2::bigint
   and ($3::bigint[] is null or rejected_id = any ($3::bigint[]))
   and ($4::text is null or tenant = $4::text)
   and ($5::text is null or reason = $5::text)
   and ($6::timestamptz is null or rejected_at >= $6::timestamptz)
   and ($7::boolean or replayed_at is null or $3::bigint[] is not null)
 order by rejected_id
 limit 200
