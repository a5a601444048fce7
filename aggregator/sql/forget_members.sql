-- Processes that ended without a word, and this one if it is to end.
-- $1 text owner, or '' for none
DELETE FROM aggregator_members
 WHERE owner IN (SELECT owner FROM aggregator_members
                  WHERE owner = $1 OR seen_until < clock_timestamp() - interval '1 minute'
                    FOR UPDATE SKIP LOCKED)
