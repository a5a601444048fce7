-- What is held when its period is over finds no positive difference any more: a person decides.
-- $1 int8: of tenants of that half, 1 or 2; 0: of all
UPDATE usage_submissions u
   SET state = 'late', last_error = 'negative, and its period is over'
 WHERE u.state = 'held'
   AND ($1::int8 = 0 OR (hashtext(u.tenant) & 1) + 1 = $1)
   AND (SELECT p.period_end <= now() FROM billing_period(u.tenant, u.usage_at) AS p)
