-- What waits to be sent, and what this transaction claimed; of a meter that is at fault, as sinks found it last, what is
-- wrong with it.
select tenant, metric, to_char(period_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as period,
       to_char(usage_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as usage_at,
       trim_scale(quantity) as quantity, transport, stripe_customer_id as customer, event_name, state,
       created_at = now() as claimed,
       (select h.why from meter_holds h where h.event_name = s.event_name and s.transport <> 'usage_records') as meter
  from usage_submissions s
 where state = 'pending' or (state in ('held', 'late') and created_at = now())
 order by tenant, metric, period_start, claim
