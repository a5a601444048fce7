-- Voids a submission that Stripe surely does not have, so that its quantity is claimed again: the next claimer sums up
-- the claim once more, under a new number and in another minute. Claimers wait meanwhile, because one that has already
-- read the claim would write it back. Returns whether the submission was in one of the given states.
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
    -- Until it is claimed again it shows as waiting.
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
