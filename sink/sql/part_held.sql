-- What is held when its period is over finds no positive difference any more: a person decides.
update usage_submissions u
   set state = 'late', last_error = 'negative, and its period is over'
 where u.state = 'held'
   and (select p.period_end <= now() from billing_period(u.tenant, u.usage_at) as p)
