-- This instance runs. Drops those of its stage that have been silent for an hour, or for 5 minutes if another one was
-- started in their place; of a stage in which nobody runs any more the rows stay, to be seen.
-- $1 text: instance; $2 text: stage; $3 text: version; $4 text: host; $5 bigint: pid; $6 boolean: ready; $7 text: what is
-- missing, or NULL; $8 bigint: since it started, in ms
WITH silent AS (
    DELETE FROM stage_instances
     WHERE instance IN (SELECT i.instance FROM stage_instances i
                         WHERE i.stage = $2 AND i.instance <> $1
                           AND (i.seen_at < clock_timestamp() - interval '1 hour'
                                OR i.seen_at < clock_timestamp() - interval '5 minutes'
                                   AND i.instance IN (SELECT s.instance FROM stage_instance_states s
                                                       WHERE s.stage = $2 AND s.state = 'gone'))
                           FOR UPDATE SKIP LOCKED)
)
INSERT INTO stage_instances (instance, stage, version, host, pid, started_at, seen_at, ready, reason)
VALUES ($1, $2, $3, $4, $5::bigint, clock_timestamp() - $8::bigint * interval '1 ms', clock_timestamp(), $6::boolean, $7)
ON CONFLICT (instance) DO UPDATE
   SET seen_at = excluded.seen_at, ready = excluded.ready, reason = excluded.reason
