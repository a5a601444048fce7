-- Take the next submission of lanes that have no call in flight: one whose sink died (its lease has passed),
-- else the oldest that waits, if it is due. A later one never overtakes it. Lanes are visited in their order,
-- beginning after the lane given, one probe of an index each, which finds the call in flight first, until what
-- was taken fills the calls. What was first sent 23 h ago is never sent again (Stripe forgets keys and
-- identifiers after 24 h); what was never sent and comes too late for its invoice is late; what Stripe refused
-- later, while a sink that died had it in flight, is failed. Lanes of a meter that is at fault, or
-- of a tenant that is held after a restore, rest.
-- A row is taken where it was seen: the snapshot keeps its place from being used again. The conditions on
-- attempts and state are for a settlement that commits meanwhile.
-- Each pick has a number, which Redis is told before a call begins: a ledger that came back from a backup has less.
-- Thousands of rows may be open while statistics know of none: each part leaves the planner one good way only.
-- $1 text: owner
-- $2 int8: lease, ms
-- $3 int8: calls, in hundredths; the last row may go beyond them
-- $4 text, $5 text: customer and event_name after which to go on
-- Transports of this build, arrays of one length: $6 text[] name, $7 int8[] what a submission takes of a call,
-- in hundredths, $8 bool[] takes nothing for a period that is over
with recursive transports as (
    select * from unnest($6::text[], $7::int8[], $8::bool[]) as t (transport, cost, ends_with_period)
), held as materialized (
    select g.hold, exists (select from restore_checks c where c.hold = g.hold and c.checked_at is not null) as any_released
      from sink_hold() as g (hold)
), seen as (
    select $4::text collate "C" as customer, $5::text collate "C" as event_name, null::tid as place,
           null::text collate "C" as tenant, null::timestamptz as usage_at, null::text collate "C" as state, null::int4 as attempts,
           null::timestamptz as first_sent_at, null::text as refused_later, null::bool as ends_with_period,
           0::int8 as used
    union all
    select n.stripe_customer_id, n.event_name, case when h.due then n.ctid end, n.tenant, n.usage_at, n.state,
           n.attempts, n.first_sent_at, n.refused_later, h.ends_with_period, d.used + case when h.due then h.cost else 0 end
      from seen d
     cross join lateral (
           select o.ctid, o.*
             from usage_submissions o
            where o.state in ('pending', 'sending')
              and (o.stripe_customer_id, o.event_name) > (d.customer, d.event_name)
            order by o.stripe_customer_id, o.event_name,
                     case o.state when 'sending' then timestamptz '-infinity' else o.usage_at end
            limit 1) as n
      left join lateral (
           select t.cost, t.ends_with_period,
                  case n.state when 'sending' then n.lease_until < now()
                       else n.next_attempt_at <= now() end
                  and (n.transport = 'usage_records'
                       or n.event_name <> all (array(select event_name from meter_holds)))
                  and ((select hold from held) = 0 or is_released(n.tenant, (select hold from held))) as due
             from transports t
            where t.transport = n.transport) as h on true
     where d.used < $3
       and (select hold = 0 or hold > 0 and any_released from held)
), judged as (
    select d.place, d.attempts, d.state, d.first_sent_at is not null as sent_before, l.why,
           case when d.refused_later is not null then 'failed'
                when d.first_sent_at < now() - interval '23 hours' then 'in_doubt'
                when l.why is not null then 'late'
                else 'sending' end as verdict
      from seen d
     cross join lateral (
           select case when d.first_sent_at is null
                       then why_late(d.tenant, d.usage_at, d.ends_with_period) end as why
           offset 0) as l   -- so that it is asked once
     where d.place is not null
), picked as (
    update usage_submissions s
       set state = j.verdict,
           owner = case when j.verdict = 'sending' then $1 end,
           lease_until = case when j.verdict = 'sending'
                              then clock_timestamp() + $2::int8 * interval '1 ms' end,
           attempts = s.attempts + case when j.verdict = 'sending' then 1 else 0 end,
           first_sent_at = coalesce(s.first_sent_at, case when j.verdict = 'sending' then now() end),
           last_sent_at = case when j.verdict = 'sending' then now() else s.last_sent_at end,
           last_error = coalesce(j.why, s.last_error)
      from judged j
     where s.ctid = j.place and s.attempts = j.attempts and s.state = j.state
    returning s.identifier, s.stripe_customer_id, s.event_name, s.transport, s.stripe_subscription_item_id,
              s.quantity, s.body, s.state, s.attempts, j.sent_before, s.last_error, s.spent_keys
), numbered as (
    update ledger_identity set picks = picks + 1
     where exists (select from picked where state = 'sending')
    returning picks, ledger_id::text)
select p.*, coalesce(n.picks, 0) as picks, n.ledger_id
  from picked p
  left join numbered n on true
 order by stripe_customer_id, event_name
