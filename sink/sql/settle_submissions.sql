-- What became of tries, if they are still the ones that were picked: a submission has an owner only while it is
-- `sending` (to ask for the state itself would tempt the planner away from the identifier). forget: the try
-- surely changed nothing at Stripe and was the first, so that its 23 h do not begin.
-- $1 text: owner
-- $2 text[] identifier, $3 int8[] attempts, $4 text[] state, $5 int8[] wait before the next try, ms,
-- $6 text[] last_error, $7 text[] request_id, $8 bool[] forget,
-- $9 bool[] known: Stripe knew it before, $10 bool[] key_spent: Stripe has a refusal stored for the key
UPDATE usage_submissions s
   SET state = CASE WHEN s.refused_later IS NULL THEN a.state ELSE 'failed' END,
       owner = NULL, lease_until = NULL,
       next_attempt_at = now() + a.wait_ms * interval '1 ms',
       last_error = coalesce(s.refused_later, a.last_error), request_id = coalesce(a.request_id, s.request_id),
       first_sent_at = CASE WHEN a.forget AND s.refused_later IS NULL THEN NULL ELSE s.first_sent_at END,
       known_before = s.known_before OR a.known, spent_keys = s.spent_keys + a.key_spent::int4,
       sent_at = CASE WHEN a.state = 'sent' AND s.refused_later IS NULL THEN now() END
  FROM unnest($2::text[], $3::int8[], $4::text[], $5::int8[], $6::text[], $7::text[], $8::bool[],
              $9::bool[], $10::bool[])
       AS a (identifier, attempts, state, wait_ms, last_error, request_id, forget, known, key_spent)
 WHERE s.identifier = a.identifier AND s.owner = $1 AND s.attempts = a.attempts
