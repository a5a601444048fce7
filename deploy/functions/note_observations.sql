-- Notes what events and fetched objects say (observation.h in common/stripe/objects). A second time it changes nothing.
CREATE OR REPLACE FUNCTION note_observations(p_batch jsonb) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    tie record;
    own text[] := ARRAY(SELECT n.event FROM jsonb_to_recordset(p_batch) AS n (event text) WHERE n.event IS NOT NULL);
BEGIN
    INSERT INTO stripe_observations AS o (
           object_id, created_at, event_id, kind, type, group_id, customer_id, parent_id, tenant, is_first, is_final,
           rank, state, prior, shape, status, prior_status, starts_at, ends_at, prior_starts_at, prior_ends_at,
           request_id, facts, detail)
    SELECT DISTINCT ON (n.object, n.created, n.event)
           n.object, to_timestamp(n.created), n.event, n.kind, n.type, n."group", n.customer, n.parent, n.tenant, n.first,
           n.final, n.rank, n.state, n.prior, n.shape, n.status, n.prior_status, to_timestamp(n.starts),
           to_timestamp(n.ends), to_timestamp(n.prior_starts), to_timestamp(n.prior_ends), n.request, n.facts, n.detail
      FROM jsonb_to_recordset(p_batch) AS n (
           event text, type text, created float8, kind text, object text, "group" text, customer text, parent text,
           tenant text, first boolean, final boolean, rank smallint, state text, prior text, shape text, status text,
           prior_status text, starts float8, ends float8, prior_starts float8, prior_ends float8, request text,
           facts jsonb, detail jsonb)
     WHERE n.object IS NOT NULL AND n.event IS NOT NULL
    ON CONFLICT (object_id, created_at, event_id) DO UPDATE
       SET facts = excluded.facts, state = excluded.state, prior = excluded.prior, shape = excluded.shape,
           detail = excluded.detail
     WHERE (o.facts, o.prior) IS DISTINCT FROM (excluded.facts, excluded.prior);

    -- Of a fetched object the newest state is enough. It is newer than all events that had come by then, whatever Stripe's
    -- clock says, and those that it was fetched for. It is older than an event that came after it was fetched, and may
    -- have happened after it: such an event tells by itself what the object is.
    IF p_batch @> '[{"event": null}]' THEN
        DELETE FROM stripe_observations o
         USING jsonb_to_recordset(p_batch) AS n (object text, fetched_ms float8)
         WHERE n.fetched_ms IS NOT NULL AND o.object_id = n.object AND o.event_id = ''
           -- Said so that each is looked up: while the table was small, PostgreSQL would go through all of it, or through
           -- those of a time.
           AND o.object_id = ANY (ARRAY(SELECT f.object FROM jsonb_to_recordset(p_batch) AS f (object text, fetched_ms float8)
                                         WHERE f.fetched_ms IS NOT NULL))
           AND (o.noted_at <= to_timestamp(n.fetched_ms / 1000)) IS TRUE;
        INSERT INTO stripe_observations (
               object_id, created_at, event_id, kind, group_id, customer_id, parent_id, tenant, is_first, is_final, rank,
               state, prior, shape, status, prior_status, starts_at, ends_at, facts, noted_at)
        SELECT DISTINCT ON (n.object)
               n.object,
               coalesce((SELECT min(x.created_at) - interval '1 microsecond' FROM stripe_observations x
                          WHERE x.object_id = n.object AND x.event_id <> '' AND x.event_id <> ALL (own)
                            AND (x.noted_at > to_timestamp(n.fetched_ms / 1000)) IS TRUE
                            AND x.created_at >= date_trunc('second', to_timestamp(n.fetched_ms / 1000))),
                        greatest(to_timestamp(n.fetched_ms / 1000), (SELECT max(x.created_at) FROM stripe_observations x
                                                                      WHERE x.object_id = n.object))),
               '', n.kind, n."group", n.customer, n.parent, n.tenant, false, n.final, n.rank, n.state, n.state, n.shape,
               n.status, n.status, to_timestamp(n.starts), to_timestamp(n.ends), n.facts, to_timestamp(n.fetched_ms / 1000)
          FROM jsonb_to_recordset(p_batch) AS n (
               fetched_ms float8, kind text, object text, "group" text, customer text, parent text, tenant text,
               final boolean, rank smallint, state text, shape text, status text, starts float8, ends float8, facts jsonb)
         WHERE n.fetched_ms IS NOT NULL
           AND NOT EXISTS (SELECT FROM stripe_observations x WHERE x.object_id = n.object AND x.event_id = '')
         ORDER BY n.object, n.fetched_ms DESC;
    END IF;

    -- What was the last event of a second may be another one now, and so may be that of the second before, and of those
    -- after.
    FOR tie IN
        SELECT o.object_id, o.created_at
          FROM (SELECT b.object, min(to_timestamp(b.created)) AS since
                  FROM jsonb_to_recordset(p_batch) AS b (object text, event text, created float8)
                 WHERE b.object IS NOT NULL AND b.event IS NOT NULL
                 GROUP BY b.object) n
         CROSS JOIN LATERAL (SELECT coalesce(max(x.created_at), n.since) AS since FROM stripe_observations x
                              WHERE x.object_id = n.object AND x.created_at < n.since AND x.event_id <> '') f
          JOIN stripe_observations o ON o.object_id = n.object AND o.created_at >= f.since AND o.event_id <> ''
         GROUP BY o.object_id, o.created_at
        HAVING count(*) > 1
         ORDER BY o.object_id, o.created_at
    LOOP
        PERFORM settle_second(tie.object_id, tie.created_at);
    END LOOP;
END $$;

COMMENT ON FUNCTION note_observations IS 'Notes what events and fetched objects of Stripe''s say.';
