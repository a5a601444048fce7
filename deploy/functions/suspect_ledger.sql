-- Notes that PostgreSQL and Redis were both started anew. Nobody can tell then whether both come from backups of the
-- same moment, and what was sent after it. Whatever that was, it was sent after p_alive_at, when both were last seen
-- alive. For 24 h Stripe recognises it as repeated, because it would have the same identifiers. So from 20 h on, usage
-- must be compared with Stripe before more is claimed. Returns when that begins. What an earlier restore holds, now or
-- later, stays held.
CREATE OR REPLACE FUNCTION suspect_ledger(p_alive_at timestamptz) RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    from_at timestamptz := CASE WHEN (SELECT value FROM ledger_state WHERE name = 'sink_hold') > 0 THEN now()
                                ELSE greatest(now(), p_alive_at + interval '20 hours') END;
BEGIN
    DELETE FROM ledger_restores r
     WHERE r.held_from >= from_at OR r.restored_at < (SELECT max(n.restored_at) FROM ledger_restores n WHERE n.held_from <= now());
    DELETE FROM restore_proofs WHERE proven_for < (SELECT min(r.restored_at) FROM ledger_restores r);
    INSERT INTO ledger_restores (restored_at, held_from) VALUES (now(), from_at);
    RETURN from_at;
END $$;

COMMENT ON FUNCTION suspect_ledger IS
    'Notes that PostgreSQL and Redis were both started anew, and returns from when on usage must be compared first.';
REVOKE ALL ON FUNCTION suspect_ledger FROM PUBLIC;
GRANT EXECUTE ON FUNCTION suspect_ledger TO meterline_sink;
