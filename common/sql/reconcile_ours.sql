-- What we sent of one customer's meter in a period, for whatever tenant: of sums the sum, else the newest value; and the
-- bounds within which Stripe's figure may lie, since nobody knows whether it holds what is under way, in doubt, or, Stripe's
-- summaries being late by minutes, what it has just taken. mark changes with every change of these.
-- $1 text customer, $2 text event_name, $3 text subscription item or null
-- $4 timestamptz, $5 timestamptz: from, until before
-- $6 bool: the newest value counts
-- $7 bool: count what is `sent` alone
with ours as (
    select s.quantity, s.usage_at, s.state = 'sent' as sent,
           not $7::bool and (s.state <> 'sent' or s.sent_at > now() - interval '10 minutes') as open
      from usage_submissions s
     where s.stripe_customer_id = $1 and s.event_name = $2 and s.state <> 'void'
       and s.stripe_subscription_item_id is not distinct from $3
       and s.usage_at >= $4::timestamptz and s.usage_at < $5::timestamptz
       and (s.state in ('sent', 'sending', 'in_doubt')
            or s.state = 'pending' and s.first_sent_at is not null
            or s.state = 'failed' and s.doubt_read_at is not null)
), sums as (
    select coalesce(sum(quantity) filter (where sent), 0) as sent,
           coalesce(sum(quantity) filter (where open), 0) as open,
           coalesce(sum(quantity) filter (where sent and not open), 0) as certain,
           coalesce(sum(least(quantity, 0)) filter (where open), 0) as less,
           coalesce(sum(greatest(quantity, 0)) filter (where open), 0) as more,
           (array_agg(quantity order by usage_at desc) filter (where sent))[1] as newest_sent,
           max(usage_at) filter (where sent and not open) as certain_at,
           count(*) as n, count(*) filter (where sent) as n_sent
      from ours
), newest as (
    select coalesce(min(o.quantity), 0) as low, coalesce(max(o.quantity), 0) as high
      from (select u.quantity from ours u, sums where u.usage_at >= coalesce(certain_at, '-infinity')
                                                  and (u.open or u.usage_at = certain_at)
            union all
            select 0 from sums where certain_at is null) as o (quantity)
)
select case when $6::bool then coalesce(newest_sent, 0) else sent end as sent, open,
       case when $6::bool then low else certain + less end as low,
       case when $6::bool then high else certain + more end as high,
       case when n = 0 then '0' else n || '/' || n_sent end as mark
  from sums, newest
