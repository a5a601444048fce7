-- Submissions in doubt whose reading at Stripe is due: the first one 2 h after the last try, the second one an hour
-- later. A reading from before the last try does not count. Nothing is due while sinks are held. After a
-- restore: all that is not settled, but of customers that were deleted at Stripe. Of usage records also what
-- the item's total can be made of.
-- $1 text: identifier after which to go on
-- $2 text: this one alone, or null
-- $3 bool: after a restore
-- $4 int8: rows at most
-- $5 text: of this tenant alone, or null
with open as (
    select s.*, coalesce(s.last_sent_at, s.first_sent_at, s.created_at) + interval '2 hours' as due_at
      from usage_submissions s
     where s.identifier > $1 and ($2::text is null or s.identifier = $2) and ($5::text is null or s.tenant = $5)
       and (s.state = 'in_doubt' or $3::bool and s.state in ('pending', 'sending'))
       and case when $3::bool
                then not exists (select from billing_customers b where b.stripe_customer_id = s.stripe_customer_id
                                                                   and b.deleted_at is not null)
                else not exists (select from ledger_state g, ledger_identity i
                                  where g.name = 'sink_hold' and (g.value <> 0 or i.life <> ledger_life())) end
), due as (
    select o.*, o.doubt_read_at is not null and o.doubt_read_at >= o.due_at as read_before
      from open o
     where $3::bool or o.due_at < now()
       and (o.doubt_read_at is null or o.doubt_read_at < o.due_at or o.doubt_read_at < now() - interval '1 hour')
     order by o.identifier
     limit $4::int8
)
select d.identifier, d.stripe_customer_id, d.event_name, d.stripe_subscription_item_id as item,
       m.aggregation not in ('sum', 'count') as newest,
       extract(epoch from case when d.stripe_subscription_item_id is null then d.usage_at
                               else p.period_start end)::int8 as start_s,
       extract(epoch from case when d.stripe_subscription_item_id is null then d.usage_at + interval '1 minute'
                               else p.period_end end)::int8 as end_s,
       d.quantity, d.read_before, case when d.read_before then d.doubt_quantity end as first,
       r.sent, r.doubtful, r.moving, d.known_before, d.state
  from due d
  join metrics m on m.metric = d.metric
 cross join lateral billing_period(d.tenant, d.usage_at) as p
  left join lateral (
       select coalesce(sum(u.quantity) filter (where u.state = 'sent'), 0) as sent,
              coalesce(sum(u.quantity) filter (where u.state in ('in_doubt', 'failed')
                                                     or $3::bool and u.state <> 'sent'), 0) as doubtful,
              count(*) filter (where u.state in ('pending', 'sending') and u.first_sent_at is not null
                                     and not $3::bool) as moving
         from usage_submissions u
        where d.stripe_subscription_item_id is not null and u.tenant = d.tenant and u.metric = d.metric
          and u.stripe_subscription_item_id = d.stripe_subscription_item_id
          and u.usage_at >= p.period_start and u.usage_at < p.period_end
          and (u.state in ('sent', 'in_doubt', 'pending', 'sending')
               or u.state = 'failed' and u.doubt_read_at is not null)) as r on true
 order by d.identifier
