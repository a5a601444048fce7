-- A page of a tenant's history, the newest first, each row as JSON.
-- $1 text: tenant; $2 text: id of the row before, or NULL; $3 bigint: how many; $4 text: kind, or NULL;
-- $5 boolean: for a portal token, which is not to know the operator's keys
SELECT json_build_object('id', h.history_id::text, 'kind', h.kind, 'object_id', h.object_id, 'event_id', h.event_id,
                         'actor', CASE WHEN NOT $5::boolean THEN h.actor END,
                         'detail', CASE WHEN $5::boolean THEN h.detail - 'key' ELSE h.detail END,
                         'occurred_at', h.occurred_at, 'recorded_at', h.recorded_at)
  FROM billing_history h
 WHERE h.tenant = $1
   AND ($2::text IS NULL OR h.history_id < CASE WHEN $2::text ~ '^[0-9]{1,18}$' THEN $2::text::bigint ELSE 0 END)
   AND ($4::text IS NULL OR h.kind = $4)
 ORDER BY h.history_id DESC
 LIMIT $3::bigint
