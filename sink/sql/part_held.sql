-- What is held when its period is over finds no positive difference any more: a person decides.
-- $1 int8: of tenants of that half, 1 or 2; 0: of all
update usage_submissions u
   set state = 'late', last_error = 'negative, and its period is over'
 where u.state = 'held'
   and ($1::int8 = 0 or (hashtext(u.tenant) & 1) + 1 = $1)
   and (select p.period_end <= now() from billing_period(u.tenant, u.usage_at) as p)
