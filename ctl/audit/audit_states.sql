-- Submissions in a state that the sink cannot have left them in, with what is odd; at most 10. The sink writes with
-- the state: an owner and a lease while it is `sending`, sent_at while it is `sent`, and why an earlier try is
-- repeated.
SELECT s.identifier, s.tenant, s.metric, s.state, x.what
  FROM usage_submissions s
 CROSS JOIN LATERAL (
    SELECT CASE WHEN s.state = 'sending' AND (s.owner IS NULL OR s.lease_until IS NULL OR s.first_sent_at IS NULL
                                              OR s.attempts < 1) THEN 'sending without a sender'
                WHEN s.state <> 'sending' AND (s.owner IS NOT NULL OR s.lease_until IS NOT NULL)
                THEN 'has a sender, and is not sending'
                WHEN s.state = 'sent' AND s.sent_at IS NULL THEN 'sent without a time'
                WHEN s.state <> 'sent' AND s.sent_at IS NOT NULL THEN 'was sent already'
                WHEN s.state = 'pending' AND s.attempts > 0 AND s.last_error IS NULL
                THEN 'waits for another try without a reason'
                WHEN s.attempts = 0 AND (s.first_sent_at IS NOT NULL OR s.request_id IS NOT NULL)
                     AND NOT starts_with(s.identifier, 'ml-found-') THEN 'an answer without a try'
                WHEN s.decision IS NOT NULL AND s.state NOT IN ('late', 'void') THEN 'decided on, and not late'
                WHEN s.quantity <> floor(s.quantity) THEN 'not a whole number'
                WHEN s.usage_at <> minute_of(s.usage_at) THEN 'not a whole minute'
                WHEN s.usage_at < s.period_start AND NOT s.carried THEN 'before its period' END AS what) x
 WHERE x.what IS NOT NULL
 ORDER BY s.identifier
 LIMIT 10
