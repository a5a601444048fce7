-- Holds the sinks because PostgreSQL lost commits. The quota cache has seen versions of totals that were lost, so new
-- versions must be greater than those: they continue from the clock.
CREATE OR REPLACE FUNCTION hold_sinks() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE ledger_state SET value = (extract(epoch FROM pg_postmaster_start_time()) * 1000)::bigint
     WHERE name = 'hold_server_ms'
       AND (SELECT h.value FROM ledger_state h WHERE h.name = 'sink_hold') = 0;
    UPDATE ledger_state SET value = value + 1 WHERE name = 'sink_hold';
    DELETE FROM restore_proofs;
    DELETE FROM ledger_restores;
    INSERT INTO ledger_restores (restored_at, held_from) VALUES (now(), now());
    PERFORM setval('usage_version', greatest(nextval('usage_version'),
                                             (extract(epoch FROM clock_timestamp()) * 1000000)::bigint));
END $$;

COMMENT ON FUNCTION hold_sinks IS
    'Holds the sinks because PostgreSQL lost commits; meterctl restore accept releases them.';
REVOKE ALL ON FUNCTION hold_sinks FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hold_sinks TO meterline_aggregator, meterline_sink, meterline_ctl;
