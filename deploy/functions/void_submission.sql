-- A submission that Stripe surely does not hold becomes void, and its quantity is claimed anew: its claim is summed up
-- once more by the next claimer, under a new number and in another minute. Claimers wait meanwhile, or one that has
-- read the claim already would write back what it was. Returns whether it was in one of the states given.
CREATE OR REPLACE FUNCTION void_submission(p_identifier text, p_states text[], p_why text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    s usage_submissions;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('meterline claims'));
    UPDATE usage_submissions
       SET state = 'void', last_error = p_why, owner = NULL, lease_until = NULL
     WHERE identifier = p_identifier AND state = ANY (p_states)
    RETURNING * INTO s;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE usage_claims SET version = -1, periods_version = -1 WHERE tenant = s.tenant AND metric = s.metric;
    -- Until then it waits, visibly.
    UPDATE usage_claims c
       SET claimed = CASE WHEN m.aggregation IN ('sum', 'count') THEN c.claimed - s.quantity
                          ELSE (SELECT coalesce(h.held, h.claimed)
                                  FROM sum_submissions(s.tenant, s.metric, p.period_start, p.period_end) h) END
      FROM metrics m, submission_period(s.tenant, s.usage_at, s.period_start, s.carried) p
     WHERE m.metric = s.metric AND c.tenant = s.tenant AND c.metric = s.metric AND c.period_start = p.period_start;
    RETURN true;
END $$;

COMMENT ON FUNCTION void_submission IS
    'Voids a submission that Stripe surely does not hold, so that its quantity is claimed anew.';
REVOKE ALL ON FUNCTION void_submission FROM PUBLIC;
GRANT EXECUTE ON FUNCTION void_submission TO meterline_sink, meterline_ctl;
