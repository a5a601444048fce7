-- Take the next submission of lanes that have no call in flight: one whose sink died (its lease has passed),
-- else the oldest that waits, if it is due. A later one never overtakes it. Lanes are visited in their order,
-- one probe of an index each, beginning after the lane given. What was first sent 23 h ago is never sent
-- again (Stripe forgets keys and identifiers after 24 h), nor is what Stripe takes no more. The condition on
-- attempts is for a settlement that commits meanwhile.
-- $1 text: owner
-- $2 int8: lease, ms
-- $3 int8: rows at most
-- $4 text, $5 text: customer and event_name after which to go on
-- $6 text[]: transports of this build
with recursive lane as (
    (select o.stripe_customer_id, o.event_name
       from usage_submissions o
      where o.state in ('pending', 'sending') and (o.stripe_customer_id, o.event_name) > ($4, $5)
      order by o.stripe_customer_id, o.event_name
      limit 1)
    union all
    select n.stripe_customer_id, n.event_name
      from lane l
     cross join lateral (
           select o.stripe_customer_id, o.event_name
             from usage_submissions o
            where o.state in ('pending', 'sending')
              and (o.stripe_customer_id, o.event_name) > (l.stripe_customer_id, l.event_name)
            order by o.stripe_customer_id, o.event_name
            limit 1) as n
), due as (
    select h.identifier, h.attempts, h.first_sent_at is not null as sent_before,
           case when h.first_sent_at < now() - interval '23 hours' then 'in_doubt'
                when h.first_sent_at is null and h.usage_at < now() - interval '34 days' then 'late'
                else 'sending' end as verdict
      from lane l
      left join lateral (
           select u.identifier, u.attempts, u.first_sent_at, u.usage_at, u.lease_until, u.transport
             from usage_submissions u
            where u.stripe_customer_id = l.stripe_customer_id and u.event_name = l.event_name
              and u.state = 'sending') as busy on true
      left join lateral (
           select u.identifier, u.attempts, u.first_sent_at, u.usage_at, u.next_attempt_at, u.transport
             from usage_submissions u
            where u.stripe_customer_id = l.stripe_customer_id and u.event_name = l.event_name
              and u.state = 'pending'
            order by u.usage_at
            limit 1) as next on true
     cross join lateral (
           select busy.identifier, busy.attempts, busy.first_sent_at, busy.usage_at, busy.transport
            where busy.lease_until < now()
           union all
           select next.identifier, next.attempts, next.first_sent_at, next.usage_at, next.transport
            where busy.identifier is null and next.next_attempt_at <= now()) as h
     where h.transport = any ($6::text[])
       and not exists (select from ledger_state g where g.name = 'sink_hold' and g.value <> 0)
     limit $3
), picked as (
    update usage_submissions s
       set state = d.verdict,
           owner = case when d.verdict = 'sending' then $1 end,
           lease_until = case when d.verdict = 'sending'
                              then clock_timestamp() + $2::int8 * interval '1 ms' end,
           attempts = s.attempts + case when d.verdict = 'sending' then 1 else 0 end,
           first_sent_at = coalesce(s.first_sent_at, case when d.verdict = 'sending' then now() end),
           last_sent_at = case when d.verdict = 'sending' then now() else s.last_sent_at end
      from due d
     where s.identifier = d.identifier and s.attempts = d.attempts and s.state in ('pending', 'sending')
    returning s.identifier, s.stripe_customer_id, s.event_name, s.transport, s.body, s.state,
              s.attempts, d.sent_before, s.last_error)
select *
  from picked
 order by stripe_customer_id, event_name
