-- Held and carried ones whose quantity is in a new submission of this transaction.
-- $1 text[] identifier
update usage_submissions
   set state = 'void', last_error = 'claimed anew'
 where identifier = any ($1::text[]) and state in ('held', 'late')
