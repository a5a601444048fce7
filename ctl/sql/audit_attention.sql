-- What balances, and waits for a person all the same: one row, NULL where there is nothing. Units are of all metrics, and
-- negative ones count like positive ones: what waits is never hidden by its opposite. lost: entries that nobody has
-- accepted (`meterctl lost accept`). in_doubt: also resolved by the sink's own comparison, where that can tell. late: what
-- is not decided on. too_large: values that Stripe does not take. drift: what Stripe holds otherwise than it was sent, as
-- last compared. meter_held: what sinks do not send, since its meter is missing or counts otherwise (`meterctl status`
-- says which). unmapped: what cannot be sent although its tenant has a subscription: its customer is gone, or the
-- subscription has no item of the metric. not_compared: what sinks do not claim, since it was not compared with Stripe since a restore. sink_hold:
-- sinks send nothing.
with books as (
    select stream, epoch, lost from stream_positions
    union all
    select stream, epoch, lost from stream_epochs
), lost as (
    select sum(greatest(b.lost - coalesce(a.lost, 0), 0))::bigint as entries
      from books b
      left join lost_accepted a using (stream, epoch)
), stuck as (
    select trim_scale(sum(abs(quantity)) filter (where state = 'failed')) as failed,
           trim_scale(sum(abs(quantity)) filter (where state = 'in_doubt')) as in_doubt,
           trim_scale(sum(abs(quantity)) filter (where state = 'late' and decision is null)) as late
      from usage_submissions
     where state in ('failed', 'in_doubt', 'late')
), too_large as (
    select trim_scale(sum(abs(t.quantity))) as units
      from metrics m
      join usage_totals t using (metric)
      join billing_customers b on b.tenant = t.tenant and b.deleted_at is null
     where m.aggregation not in ('sum', 'count') and m.transport <> 'none'
       and abs(floor(t.quantity)) > 999999999999999
), unmetered as (
    select trim_scale(sum(abs(s.quantity))) as units
      from meter_holds h
      join usage_submissions s using (event_name)
     where s.state = 'pending' and s.transport <> 'usage_records'
), unmapped as (
    select trim_scale(sum(abs(u.quantity))) as units
      from usage_unbilled u
     where u.reason = 'unmapped' and u.quantity <> 0
       and u.tenant in (select tenant from subscriptions where status not in ('canceled', 'incomplete', 'incomplete_expired'))
), unproven as (
    select trim_scale(sum(abs(units))) as units from restore_unproven where is_held and units <> 0
), drift as (
    select trim_scale(sum(abs(drift_units))) as units from usage_drift where drift_units <> 0
)
select nullif(l.entries, 0) as lost, s.failed, s.in_doubt, s.late, t.units as too_large, d.units as drift,
       u.units as meter_held, p.units as unmapped, n.units as not_compared,
       (select nullif(value, 0) from ledger_state where name = 'sink_hold') as sink_hold
  from lost l, stuck s, too_large t, drift d, unmetered u, unmapped p, unproven n
