-- Held and carried ones whose quantity is in a new submission of this transaction.
-- $1 text[] identifier
UPDATE usage_submissions
   SET state = 'void', last_error = 'claimed anew'
 WHERE identifier = ANY ($1::text[]) AND state IN ('held', 'late')
