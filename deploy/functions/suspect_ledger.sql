-- PostgreSQL and Redis were both started anew: nobody can tell whether both come from backups of one moment, and what was
-- sent after it. That was later than p_alive_at. For 24 h Stripe knows it by the identifiers, which would be the same
-- ones; from 20 h on what it holds has to be compared before more is claimed. Returns when that begins. What an earlier
-- restore holds, or will, stays so.
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
