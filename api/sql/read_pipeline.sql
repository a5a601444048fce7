-- What waits in PostgreSQL, as JSON. depth and lag of a stream are Redis' to tell.
SELECT json_build_object(
    'streams', (
        SELECT coalesce(json_agg(json_build_object(
                   'stream', stream, 'depth', NULL, 'lag', NULL, 'counted_to', last_id,
                   'owner', CASE WHEN lease_until > clock_timestamp() THEN owner END) ORDER BY stream), '[]')
          FROM stream_positions),
    'submissions', (
        SELECT json_agg(json_build_object(
                   'state', s.state, 'count', u.n,
                   'oldest_s', floor(extract(epoch FROM clock_timestamp() - u.oldest_at))::bigint) ORDER BY s.place)
          FROM unnest(ARRAY['pending', 'sending', 'held', 'in_doubt', 'failed', 'late']) WITH ORDINALITY AS s (state, place)
         CROSS JOIN LATERAL (SELECT count(*) AS n, min(created_at) AS oldest_at FROM usage_submissions
                              WHERE state = s.state) u),
    'webhooks', (
        SELECT json_agg(json_build_object(
                   'state', s.state, 'count', e.n,
                   'oldest_s', floor(extract(epoch FROM clock_timestamp() - e.oldest_at))::bigint) ORDER BY s.place)
          FROM unnest(ARRAY['received', 'failed']) WITH ORDINALITY AS s (state, place)
         CROSS JOIN LATERAL (SELECT count(*) AS n, min(received_at) AS oldest_at FROM webhook_events
                              WHERE state = s.state) e),
    'messages', (
        SELECT json_agg(json_build_object(
                   'state', s.state, 'count', m.n,
                   'oldest_s', floor(extract(epoch FROM clock_timestamp() - m.oldest_at))::bigint) ORDER BY s.place)
          FROM unnest(ARRAY['waiting', 'failed']) WITH ORDINALITY AS s (state, place)
         CROSS JOIN LATERAL (SELECT count(*) AS n, min(waiting_since) AS oldest_at FROM outgoing_messages
                              WHERE state = s.state) m),
    'rejected', (
        SELECT coalesce(json_agg(json_build_object('reason', r.reason, 'count', r.n) ORDER BY r.reason), '[]')
          FROM (SELECT reason, count(*) AS n FROM rejected_events WHERE replayed_at IS NULL GROUP BY reason) r))
