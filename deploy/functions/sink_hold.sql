-- 0: sinks may claim and send. Above 0: they are held until `meterctl restore accept`. -1: they wait until it was
-- checked against Redis whether PostgreSQL was restored to an earlier state.
CREATE OR REPLACE FUNCTION sink_hold() RETURNS bigint STABLE LANGUAGE sql AS $$
    SELECT CASE WHEN i.life IS DISTINCT FROM ledger_life() THEN -1 ELSE s.value END
      FROM ledger_state s, ledger_identity i WHERE s.name = 'sink_hold'
$$;

COMMENT ON FUNCTION sink_hold IS
    'Whether sinks may claim and send: 0 yes, above 0 held until restore accept, -1 not yet known.';
